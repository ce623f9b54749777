"""Hundreds wait: everything is counted, reached by plain links, in order, and no page grows with what waits."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest

from lifecycle.domain.promotion import Promotion, State
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.pending import pending_ids
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import PRODUCTION, QA, SETUP, UAT, Life, make_spec
from tests.sql_statements import statements_of

Open = Callable[[str | None], Visit]
REQUEST = re.compile(r'href="/approvals/(\d+)"')


def ask(life: Life, name: str, by: str = "ada") -> Promotion:
    version = life.save(make_spec(name), by=by)
    life.to_qa(version, name, by)
    life.run(version, QA, name)
    return life.ask(version, UAT, by=by, name=name)


def more(life: Life, of: Promotion, count: int) -> None:
    """As many more requests like this one."""
    values = of.model_dump(exclude={"id", "revision", "outcome", "pinned", "plan", "requested_at"})
    with life.store.write(SETUP, "copies") as unit:
        for _ in range(count):
            unit.promotions.add(**{**values, "plan": of.plan.model_dump(mode="json")})
        unit.audit("copies", "installation:1")


def part(page: str, name: str) -> str:
    """One part of a page: what waits for the visitor, what is under way, or what waits for a review."""
    begin, end = {
        "waiting": ('<div id="waiting"', 'id="board-title"'),
        "pending": ('<div id="pending"', 'id="past-title"'),
        "reviews": ('id="reviews"', 'id="past-title"'),
    }[name]
    return page[page.index(begin) : page.index(end)]


def following(text: str) -> str | None:
    found = re.search(r'rel="next" href="([^"]+)"', text)
    return unescape(found[1]) if found else None


def walk(visitor: Visit, path: str, name: str) -> list[list[int]]:
    """The requests on each page of a part, by its links; the button to the oldest one is no row."""
    found: list[list[int]] = []
    at: str | None = path
    while at is not None:
        text = part(visitor.page(at), name)
        rows = text[text.index("<tbody" if name != "waiting" else "<ul") :]
        found.append([int(one) for one in REQUEST.findall(rows)])
        at = following(text)
        assert at is None or at.endswith(f"#{name}"), "a browser without scripts comes back to the same list"
    return found


def waiting_of(life: Life) -> list[int]:
    with life.store.read() as view:
        return [one.id for one in reversed(view.promotions.list(states=[State.REQUESTED], limit=10_000))]


@pytest.mark.parametrize(
    ("path", "name", "sizes", "told"),
    [("/", "waiting", [10] * 13, "1–10 of 130 "), ("/approvals", "pending", [50, 50, 30], "1–50 of 130 ")],
)
def test_every_request_is_reached_by_links_oldest_first(
    visit: Open, life: Life, path: str, name: str, sizes: list[int], told: str
) -> None:
    more(life, ask(life, "flights"), 129)
    lea = visit("lea")
    pages = walk(lea, path, name)
    assert [len(page) for page in pages] == sizes
    assert [one for page in pages for one in page] == waiting_of(life)
    first = lea.page(path)
    assert "<title>(130) " in first
    assert re.search(r'id="badge"[^>]*>130<', first)
    assert told in first
    assert "130 to decide" in lea.page("/")


def test_the_oldest_is_offered_on_every_page_of_what_waits(visit: Open, life: Life) -> None:
    asked = ask(life, "flights")
    more(life, asked, 59)
    text = part(visit("lea").page("/?waiting=2"), "waiting")
    assert f'href="/approvals/{asked.id}">Review the oldest</a>' in text
    assert "11–20 of 60" in text


def test_what_waits_for_the_visitor_comes_before_all_else_over_pages(visit: Open, life: Life) -> None:
    more(life, ask(life, "flights", by="lea"), 59)
    more(life, ask(life, "hotels"), 59)
    own, others = waiting_of(life)[:60], waiting_of(life)[60:]
    lea = visit("lea")
    assert [one for page in walk(lea, "/approvals", "pending") for one in page] == others + own
    second = part(lea.page("/approvals?page=2"), "pending")
    assert second.count("waiting for you") == 10
    assert [one for page in walk(lea, "/", "waiting") for one in page] == others
    assert [one for page in walk(visit("leo"), "/", "waiting") for one in page] == own + others


def test_filters_are_kept_over_pages(visit: Open, life: Life) -> None:
    more(life, ask(life, "flights"), 54)
    more(life, ask(life, "hotels"), 54)
    lea = visit("lea")
    asked = "/approvals?state=requested&target=uat&pipeline=flights&mine=1"
    first = part(lea.page(asked), "pending")
    assert following(first) == asked + "&page=2#pending"
    pages = walk(lea, asked, "pending")
    assert [len(page) for page in pages] == [50, 5]
    assert "hotels" not in part(lea.page(asked + "&page=2"), "pending")
    assert "<title>(110) " in lea.page(asked), "the badge counts what waits, whatever is looked for"
    # History pages on apart from it, with the same filters.
    for rows in range(2, 54):
        life.to_qa(life.save(make_spec("cars", rows=rows)), "cars")
    assert re.search(r'href="/approvals\?pipeline=cars&amp;before=\d+"', lea.page("/approvals?pipeline=cars"))
    assert 'id="pending"' not in lea.page("/approvals?before=90")


def test_a_part_that_loads_itself_again_stays_on_its_page(visit: Open, life: Life) -> None:
    more(life, ask(life, "flights"), 60)
    lea = visit("lea")
    for path, live in (
        ("/approvals?pipeline=fl&page=2", "/approvals/pending?pipeline=fl&page=2"),
        ("/?q=fl&waiting=2", "/waiting?q=fl&waiting=2"),
        ("/?q=fl&waiting=2", "/board?q=fl&waiting=2"),
    ):
        page = lea.page(path)
        assert f'hx-get="{live.replace("&", "&amp;")}"' in page
        assert lea.page(live).strip() in page
    # The list has become shorter meanwhile: its last page is shown.
    assert "61–61 of 61" in lea.page("/waiting?waiting=9")
    assert "51–61 of 61" in lea.page("/approvals/pending?page=9")
    for wrong in ("/?waiting=0", "/waiting?waiting=x", "/approvals?page=0", "/approvals?reviews=-1"):
        assert lea.get(wrong).status_code == 422, wrong


def test_the_board_and_what_waits_page_apart(visit: Open, life: Life) -> None:
    for number in range(53):
        life.save(make_spec(f"p{number:03}"))
    more(life, ask(life, "flights"), 60)
    page = visit("lea").page("/?page=2&waiting=2")
    assert 'rel="prev" href="/?waiting=2#board"' in page
    assert 'rel="prev" href="/?page=2#waiting"' in page


def test_badge_and_list_agree_with_hundreds_waiting_whatever_a_grant_reaches(visit: Open, life: Life) -> None:
    more(life, ask(life, "flights"), 119)
    more(life, ask(life, "hotels", by="eve"), 79)
    life.add_person("pam", None)
    with life.store.write(SETUP, "grant") as unit:
        unit.people.add_grant(
            person_id=life.person("pam"), team_id=None, role="LeadDataEngineer", scope="pipeline", scope_value="hotels",
            granted_by=None, revoked_at=None,
        )  # fmt: skip
        unit.audit("grant.added", "person:pam")
    for name, mine, seen in (("lea", 200, 200), ("pam", 80, 80), ("ada", 0, 200), ("vic", 0, 200)):
        visitor = visit(name)
        with life.store.read() as view:
            assert len(pending_ids(view, life.as_(name))) == mine
        assert re.search(f'id="badge"[^>]*>{mine or ""}<', visitor.page("/profile")), name
        assert sum(map(len, walk(visitor, "/approvals", "pending"))) == seen, name
        marked = "".join(
            part(visitor.page(f"/approvals?page={page}"), "pending") for page in (1, 2, 3, 4)[: -(-seen // 50)]
        )
        assert marked.count("waiting for you") == mine, name
        assert (
            sum(map(len, walk(visitor, "/", "waiting"))) == mine if mine else "Nothing is waiting" in visitor.page("/")
        )


def test_l7_what_was_released_without_review_is_paged_too(visit: Open, life: Life) -> None:
    released: list[int] = []
    for rows in range(1, 54):
        version = life.save(make_spec(rows=rows))
        released.append(break_glass(life.ctx, life.as_("lea"), "flights", version.number, PRODUCTION, reason="out").id)
    leo = visit("leo")
    assert [one for page in walk(leo, "/approvals", "reviews") for one in page] == released
    assert "53 awaiting review" in leo.page("/approvals?reviews=2")
    assert [one for page in walk(leo, "/", "waiting") for one in page] == released
    assert "53 to review after release" in leo.page("/?waiting=2")
    assert 'rel="next" href="/?waiting=2#waiting"' in leo.page("/")


PAGES = (
    "/", "/waiting", "/board", "/badge", "/approvals", "/approvals/pending", "/approvals?page=2", "/approvals?mine=1",
    "/pipelines", "/pipelines/flights/state", "/environments", "/environments/uat",
)  # fmt: skip


@pytest.mark.parametrize("name", ["lea", "ada"])
def test_no_page_asks_more_or_weighs_more_because_more_waits(visit: Open, life: Life, name: str) -> None:
    asked = ask(life, "flights")
    more(life, asked, 99)
    visitor = visit(name)
    with statements_of(life.store.engine) as said:

        def look() -> dict[str, tuple[int, int]]:
            found: dict[str, tuple[int, int]] = {}
            for path in PAGES:
                visitor.page(path)
                life.forget()
                said.clear()
                answer = visitor.get(path)
                found[path] = len(said), int(answer.headers["content-length"])
            return found

        few = look()
        more(life, asked, 900)
        many = look()
    for path in PAGES:
        assert many[path][0] == few[path][0], path
        # Numbers are longer, and compress otherwise.
        assert many[path][1] <= few[path][1] + 300, path
        assert many[path][1] <= 20_000, path


def test_a_cell_of_the_board_names_three_requests_and_leads_to_the_others(visit: Open, life: Life) -> None:
    asked = ask(life, "flights")
    more(life, asked, 4)
    vic = visit("vic")
    board = vic.page("/board")
    assert REQUEST.findall(board) == [str(asked.id + number) for number in range(3)]
    found = re.search('href="([^"]+)" title="2 more open requests to UAT"', board)
    assert found
    rows = walk(vic, unescape(found[1]), "pending")
    assert sum(map(len, rows)) == 5


def test_a_review_page_counts_all_that_waits_and_weighs_no_more_for_it(visit: Open, life: Life) -> None:
    asked = ask(life, "flights")
    more(life, asked, 99)
    lea = visit("lea")
    few = int(lea.get(f"/approvals/{asked.id}").headers["content-length"])
    more(life, asked, 900)
    answer = lea.get(f"/approvals/{asked.id}")
    assert "999 waiting for you" in answer.text
    assert "<title>(1000) " in answer.text
    assert int(answer.headers["content-length"]) <= few + 300
