"""Lists and texts that are too long come in parts, and all parts together are the whole."""

from __future__ import annotations

from pydantic import BaseModel

from agent.tools.paging import fit, part, short
from agent.tools.schema import size


class One(BaseModel):
    number: int
    text: str


def all_of(items: list[One], limit: int, room: int) -> list[int]:
    """What a client gathers that follows the cursors."""
    found: list[int] = []
    start = 0
    while True:
        kept, cursor = fit(items[start : start + limit + 1], limit, lambda one: str(one.number), room=room)
        found += [one.number for one in kept]
        if cursor is None:
            return found
        start = int(cursor) + 1


def test_pages_together_are_the_whole_list() -> None:
    items = [One(number=number, text="é" * (number % 50)) for number in range(200)]
    for limit, room in ((7, 10_000), (50, 500), (500, 300), (1, 1)):
        assert all_of(items, limit, room) == list(range(200))


def test_an_item_that_is_longer_than_the_room_comes_alone() -> None:
    items = [One(number=0, text="x" * 100), One(number=1, text="y" * 100)]
    assert [one.number for one in fit(items, 10, lambda one: str(one.number), room=20)[0]] == [0]


def test_parts_together_are_the_whole_text() -> None:
    for text in ("line\n" * 1000, "é" * 5000, "no end", "", "\x00" * 900, '"' * 3000):
        gathered, offset = "", 0
        while True:
            found = part(text, offset, room=700)
            if found.following is None:
                gathered += found.text
                break
            shown, mark, _ = found.text.rpartition("… cut at character ")
            assert mark
            assert size(shown) <= 702
            gathered += shown
            offset = found.following
        assert gathered == text


def test_a_short_text_is_one_line() -> None:
    assert short("a\n b") == "a b"
    assert short("x" * 400, 10) == "xxxxxxxxx…"
