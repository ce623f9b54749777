"""The list of approvals: everything that waits, what waits for me, and what was decided."""

from __future__ import annotations

import re
from collections.abc import Callable

from lifecycle.domain.promotion import State
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.pending import may_decide, pending_for, pending_ids
from lifecycle.usecases.reject_promotion import reject_promotion
from lifecycle.usecases.unreviewed import unreviewed, unreviewed_releases
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import PRODUCTION, QA, UAT, Life, make_spec
from tests.sql_statements import statements_of

Open = Callable[[str | None], Visit]


def ask(life: Life, name: str, by: str = "ada"):
    version = life.save(make_spec(name), by=by)
    life.to_qa(version, name, by)
    life.run(version, QA, name)
    return life.ask(version, UAT, by=by, name=name)


def parts(page: str) -> tuple[str, str]:
    """What is under way, and the history."""
    under_way, _, past = page.partition('id="past-title"')
    return under_way, past


def test_all_that_waits_comes_first_what_waits_for_me_at_the_top(visit: Open, life: Life) -> None:
    own = ask(life, "flights", by="lea")
    other = ask(life, "hotels")
    under_way, past = parts(visit("lea").page("/approvals"))
    assert under_way.index("hotels v1") < under_way.index("flights v1")
    assert under_way.count("waiting for you") == 1
    assert f'href="/approvals/{own.id}"' in under_way
    assert f'href="/approvals/{other.id}"' in under_way
    assert "of 1 LeadDataEngineer" in under_way
    assert past.count("flights v1") == 1, "its way into QA is over"
    mine, _ = parts(visit("lea").page("/approvals?mine=1"))
    assert "flights v1" not in mine


def test_filters(visit: Open, life: Life) -> None:
    flights, hotels = ask(life, "flights"), ask(life, "hotels")
    reject_promotion(life.ctx, life.as_("lea"), hotels.id, hotels.plan_digest, reason="no")
    lea = visit("lea")
    page = lea.page("/approvals?pipeline=HOT&state=&target=&mine=")
    assert "flights v1" not in page
    assert page.count("hotels v1") == 2
    page = lea.page("/approvals?state=rejected")
    assert re.findall(r'href="/approvals/(\d+)"', page) == [str(hotels.id)]
    assert re.findall(r'href="/approvals/(\d+)"', lea.page("/approvals?state=requested")) == [str(flights.id)]
    assert "hotels v1" not in lea.page("/approvals?target=qa&pipeline=flights")
    assert "No request in progress matches" in lea.page("/approvals?target=production")
    for wrong in ("state=nope", "target=mars", "before=0", "before=x", "pipeline=%00"):
        assert lea.get("/approvals?" + wrong).status_code == 422
    assert "&lt;script&gt;" in lea.page("/approvals?pipeline=<script>")


def test_history_pages_on(visit: Open, life: Life) -> None:
    for _ in range(26):
        life.to_qa(life.save(make_spec("flights", rows=_ + 1)))
        life.to_qa(life.save(make_spec("hotels", rows=_ + 1)), "hotels")
    lea = visit("lea")
    first = lea.page("/approvals")
    ids = re.findall(r'href="/approvals/(\d+)"', first)
    older = re.search(r'href="(/approvals\?before=\d+)"', first)
    assert older
    rest = re.findall(r'href="/approvals/(\d+)"', lea.page(older[1]))
    assert [int(one) for one in ids + rest] == list(range(52, 0, -1))


def test_l7_unreviewed_releases_wait_in_the_list(visit: Open, life: Life) -> None:
    version = life.save()
    released = break_glass(life.ctx, life.as_("lea"), "flights", version.number, PRODUCTION, reason="outage")
    page = visit("vic").page("/approvals")
    assert "1 awaiting review" in page
    assert "unreviewed</span>" in page
    leo = visit("leo")
    sent = {"plan_digest": released.plan_digest, "verdict": "approve", "reason": "fine"}
    assert leo.post(f"/approvals/{released.id}/review", **sent).status_code == 303
    page = leo.page("/approvals")
    assert "awaiting review" not in page
    # The label stays, in each list in which the release is.
    assert parts(page)[1].count("unreviewed</span>") == 1
    state = leo.page("/pipelines/flights/state")
    requests = state[state.index("requests-title") : state.index("runs-title")]
    assert requests.count("unreviewed</span>") == 1


def grant(life: Life, name: str, role: str, scope: str, value: str) -> None:
    if name not in life._people:
        life.add_person(name, None)
    with life.store.write(life.as_("adam"), "grant") as unit:
        unit.people.add_grant(
            person_id=life.person(name), team_id=None, role=role, scope=scope, scope_value=value, granted_by=None,
            revoked_at=None,
        )  # fmt: skip
        unit.audit("grant.added", f"person:{name}")


def test_a_list_shows_what_its_visitor_may_see(visit: Open, life: Life) -> None:
    ask(life, "flights")
    version = life.save(make_spec("hotels", tags={"team": "stay"}))
    life.to_qa(version, "hotels")
    break_glass(life.ctx, life.as_("lea"), "flights", 1, PRODUCTION, reason="outage")
    grant(life, "pam", "LeadDataEngineer", "pipeline", "hotels")
    grant(life, "tag", "LeadDataEngineer", "tag", "team=stay")
    for name in ("pam", "tag"):
        visitor = visit(name)
        for path in ("/approvals", "/approvals/pending", "/approvals?pipeline=flights"):
            page = visitor.page(path)
            assert "flights" not in page.replace('value="flights"', "").replace("pipeline=flights", ""), (name, path)
        assert "hotels v1" in visitor.page("/approvals")


def test_badge_list_and_page_agree_for_everybody(life: Life) -> None:
    """One question: what may this person approve now? Asked for all requests at once, and for one at a time."""
    ask(life, "flights")
    ask(life, "hotels", by="eve")
    version = life.save(make_spec("cars", tags={"team": "drive"}), by="lea")
    life.to_qa(version, "cars")
    life.run(version, QA, "cars")
    life.ask(version, UAT, by="eve", name="cars")
    grant(life, "pam", "LeadDataEngineer", "pipeline", "hotels")
    grant(life, "tag", "LeadDataEngineer", "tag", "team=drive")
    grant(life, "eve", "LeadDataEngineer", "pipeline", "flights")
    with life.store.read() as view:
        waiting = view.promotions.list(states=[State.REQUESTED])
        everybody = [person.name for person in view.people.all()]
        for name in everybody:
            expected = [one.id for one in reversed(waiting) if name in may_decide(view, one)]
            assert [one.id for one in pending_for(view, life.as_(name))] == expected, name
            assert list(pending_ids(view, life.as_(name))) == expected, name
        assert {one.id: may_decide(view, one) for one in waiting} == {
            2: ("adam", "eve", "lea", "leo"), 4: ("adam", "lea", "leo", "pam"), 6: ("adam", "leo", "tag"),
        }  # fmt: skip
        assert unreviewed_releases(view, life.as_("lea")) == ()
        assert unreviewed(view, life.as_("lea")) == ()


def test_a_list_asks_as_little_for_many_as_for_one(visit: Open, life: Life) -> None:
    ask(life, "a_flights")
    lea = visit("lea")
    counts: list[int] = []
    with statements_of(life.store.engine) as said:
        for more in ((), ("b_flights", "c_flights", "d_flights")):
            for name in more:
                ask(life, name)
            lea.page("/approvals")
            life.forget()
            said.clear()
            lea.page("/approvals")
            counts.append(len(said))
    # One request alone is asked for by its pipeline.
    assert counts[1] <= counts[0] + 1
