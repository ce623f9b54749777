"""What a store keeps of what it found: for as long as nobody, in whichever process, changes anything."""

from __future__ import annotations

import sqlite3
import threading
from datetime import timedelta

import pytest

from lifecycle.audit import SigningKey
from lifecycle.domain.people import system_actor
from lifecycle.errors import NotFound
from lifecycle.store.engine import is_sqlite
from lifecycle.store.store import Store
from lifecycle.store.unit import View
from tests.fakes.clock import FakeClock
from tests.sql_statements import statements_of

ACTOR = system_actor("test")
LONG = timedelta(hours=1)


def add_pipeline(store: Store, name: str) -> None:
    with store.write(ACTOR, "add") as unit:
        unit.pipelines.add(name, None)
        unit.audit("pipeline.added", f"pipeline:{name}")


def test_what_was_found_is_kept_until_anybody_changes_anything(
    store: Store, store_url: str, signing_key: SigningKey, clock: FakeClock
) -> None:
    asked: list[int] = []

    def find() -> tuple[int, object]:
        asked.append(1)
        return len(asked), clock.now() + LONG

    def get() -> int:
        return store.kept.get("x", clock.now(), find)  # type: ignore[arg-type]

    keeps = is_sqlite(store.engine)
    assert [get(), get()] == ([1, 1] if keeps else [1, 2])
    before = len(asked)
    add_pipeline(store, "own")
    assert get() == before + 1
    other = Store.open(store_url, signing_key, clock)
    add_pipeline(other, "others")
    other.close()
    assert get() == before + 2


def test_nothing_is_kept_beyond_its_end(store: Store, clock: FakeClock) -> None:
    ends = clock.now() + LONG
    assert store.kept.get("x", clock.now(), lambda: ("old", ends)) == "old"
    clock.advance(hours=1)
    assert store.kept.get("x", clock.now(), lambda: ("new", clock.now() + LONG)) == "new"


def test_a_refusal_is_not_kept(store: Store, clock: FakeClock) -> None:
    def refuse() -> tuple[str, object]:
        raise NotFound("not there")

    for _ in range(2):
        with pytest.raises(NotFound):
            store.kept.get("x", clock.now(), refuse)  # type: ignore[arg-type]
    assert store.kept.get("x", clock.now(), lambda: ("there", clock.now() + LONG)) == "there"


def test_a_second_reader_of_the_same_picture_asks_the_database_for_nothing(store: Store) -> None:
    add_pipeline(store, "p")
    with store.read() as view:
        first = view.pipelines.named("p")
        once = view.once("key", object)
    with statements_of(store.engine) as asked, store.read() as view:
        again = view.pipelines.named("p")
        same = view.once("key", object)
    assert again == first
    if is_sqlite(store.engine):
        assert [one for one in asked if "FROM pipeline" in one] == []
        assert same is once
    add_pipeline(store, "q")
    with store.read() as view:
        assert view.pipelines.find("q") is not None
        assert view.once("key", object) is not once


def test_a_picture_stays_what_it_was_when_it_was_opened(store: Store) -> None:
    with store.read() as view:
        assert view.pipelines.find("p") is None
        add_pipeline(store, "p")
        add_pipeline(store, "q")
        # Asked for the first time now, of the picture of before.
        assert view.pipelines.find("q") is None
        with store.read() as later:
            assert later.pipelines.find("q") is not None
            assert view.pipelines.find("q") is None


def test_a_writer_reads_what_it_wrote_and_not_what_was_kept(store: Store) -> None:
    with store.read() as view:
        assert view.pipelines.find("p") is None
        view.once("key", lambda: "before")
    with store.write(ACTOR, "add") as unit:
        unit.pipelines.add("p", None)
        assert unit.pipelines.find("p") is not None
        assert unit.once("key", lambda: "after") == "after"
        unit.audit("pipeline.added", "pipeline:p")


def test_a_change_without_drls_is_noticed(store: Store, store_url: str) -> None:
    add_pipeline(store, "p")
    with store.read() as view:
        assert view.pipelines.find("q") is None
    if not is_sqlite(store.engine):
        pytest.skip("PostgreSQL keeps nothing")
    with sqlite3.connect(store_url.removeprefix("sqlite:///")) as plain:
        plain.execute("UPDATE pipeline SET name = 'q' WHERE name = 'p'")
    plain.close()
    with store.read() as view:
        assert view.pipelines.find("q") is not None


def test_no_reader_misses_what_was_committed_before_it_began(store: Store) -> None:
    wrong: list[str] = []
    written = 0
    done = threading.Event()

    def count(view: View) -> int:
        return sum(view.pipelines.find(f"p{number}") is not None for number in range(30))

    def read() -> None:
        while not done.is_set():
            least = written
            with store.read() as view:
                found = view.once("count", lambda view=view: count(view))
                if found < least or count(view) != found:
                    wrong.append(f"{found} of {least}")

    readers = [threading.Thread(target=read) for _ in range(4)]
    for one in readers:
        one.start()
    for number in range(30):
        add_pipeline(store, f"p{number}")
        written = number + 1
    done.set()
    for one in readers:
        one.join()
    assert wrong == []
