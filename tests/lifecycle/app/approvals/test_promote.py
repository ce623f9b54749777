"""The promote page: what is seen is what is asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest

from lifecycle.app.kit.request import COOKIE
from lifecycle.domain.plan import Plan
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.usecases.holding import set_hold
from tests.lifecycle.app.together import together
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import PRODUCTION, QA, UAT, Life, make_spec

Open = Callable[[str | None], Visit]
TO_QA = "/pipelines/flights/versions/1/promote/qa"
TO_UAT = "/pipelines/flights/versions/1/promote/uat"


def hidden(page: str, name: str) -> str:
    """A hidden field of the page's form, as a browser would send it."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return unescape(found[1])


def tab_of(visitor: Visit, visit: Open) -> Visit:
    """Another tab of the same browser."""
    other = visit(None)
    other.client.cookies.set(COOKIE, visitor.session)
    return other


def in_qa(life: Life):
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    return version


def fields(page: str) -> dict[str, str]:
    return {name: hidden(page, name) for name in ("if_plan", "seen")}


def test_the_plan_is_shown_before_anybody_asks(visit: Open, life: Life) -> None:
    version = in_qa(life)
    page = visit("ada").page(TO_UAT)
    for shown in (
        "first release there", "Needs 1 LeadDataEngineer or Admin", "expire after 7 days",
        "only production takes over data", "flights.daily", "flights_raw.flights", "checks0.some", "2 passed",
        "adam, lea, leo", "service accounts and agents never approve",
        "2 receipts of session 1 cover every table and every blocking check", "Request approval",
    ):  # fmt: skip
        assert shown in page, shown
    digest = hidden(page, "if_plan")
    assert digest in page.replace(f'value="{digest}"', ""), "the digest is shown, not only sent"
    assert Plan.model_validate_json(hidden(page, "seen")).digest == digest
    assert version.digest in page


def test_asking_asks_for_exactly_what_was_seen(visit: Open, life: Life) -> None:
    in_qa(life)
    ada = visit("ada")
    page = ada.page(TO_UAT)
    answer = ada.post(TO_UAT, reason="new delays", **fields(page))
    assert (answer.status_code, answer.headers["location"]) == (303, "/approvals/2")
    asked = life.promotion(2)
    assert (asked.state, asked.reason, asked.plan_digest) == (State.REQUESTED, "new delays", hidden(page, "if_plan"))
    again = ada.page(TO_UAT)
    assert "request 2 asks for the same promotion and waits for approval" in again
    assert 'name="if_plan"' not in again


def test_into_qa_it_executes_at_once(visit: Open, life: Life) -> None:
    life.save()
    ada = visit("ada")
    page = ada.page(TO_QA)
    assert "Promote to QA now" in page
    assert ada.post(TO_QA, **fields(page)).status_code == 303
    assert life.active_number(QA) == 1


def test_a_plan_that_moved_is_refused_with_what_moved(visit: Open, life: Life) -> None:
    version = in_qa(life)
    ada = visit("ada")
    page = ada.page(TO_UAT)
    life.run(version, QA)
    said = unescape(ada.said(TO_UAT, **fields(page)))
    assert "The plan has changed since you reviewed it, so nothing was requested." in said
    assert "changed: receipts: [1, 2] → [1, 2, 3, 4]" in said
    with life.store.read() as view:
        assert len(view.promotions.list()) == 1
    forged = fields(page) | {"seen": '{"pipeline": "<script>alert(1)</script>"}'}
    said = ada.said(TO_UAT, **forged)
    assert "The plan has changed since you reviewed it" in said
    assert "script" not in said


def test_two_clicks_are_one_request_also_at_once(visit: Open, life: Life) -> None:
    in_qa(life)
    one = visit("ada")
    two = tab_of(one, visit)
    sent = fields(one.page(TO_UAT))
    answers = together(
        lambda: one.post(TO_UAT, **sent, reason="r").status_code,
        lambda: two.post(TO_UAT, **sent, reason="r").status_code,
    )
    assert answers == [303, 303]
    with life.store.read() as view:
        assert len(view.promotions.list(target=UAT)) == 1


def test_two_clicks_into_qa_are_one_promotion(visit: Open, life: Life) -> None:
    life.save()
    one = visit("ada")
    two = tab_of(one, visit)
    sent = fields(one.page(TO_QA))
    answers = together(lambda: one.post(TO_QA, **sent).status_code, lambda: two.post(TO_QA, **sent).status_code)
    assert answers == [303, 303]
    with life.store.read() as view:
        assert [one.state for one in view.promotions.list()] == [State.DONE]


def test_what_stands_in_the_way_is_what_asking_refuses(visit: Open, life: Life) -> None:
    life.save()
    ada = visit("ada")
    page = unescape(ada.page(TO_UAT))
    for problem in ("version 1 is not active in QA: promote it there first", "nothing has run in QA yet"):
        assert problem in page
        assert problem in unescape(ada.said(TO_UAT, if_plan="sha256:x"))
    assert "Not possible now" in page
    assert "disabled>Request approval" in page
    assert 'name="if_plan"' not in page


def test_who_may_not_ask_sees_the_plan_and_why(visit: Open, life: Life) -> None:
    in_qa(life)
    vic = visit("vic")
    page = unescape(vic.page(TO_UAT))
    assert "requesting a promotion needs the role DataEngineer on pipeline flights; vic has Viewer" in page
    assert 'name="if_plan"' not in page
    assert vic.post(TO_UAT, if_plan="sha256:x").status_code == 403


def test_a_freeze_is_said_and_does_not_forbid_asking(visit: Open, life: Life) -> None:
    in_qa(life)
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, UAT, None, reason="<b>quarter</b> end")
    page = visit("ada").page(TO_UAT)
    assert "Once approved, it will wait: UAT is frozen: &lt;b&gt;quarter&lt;/b&gt; end." in page
    assert 'name="if_plan"' in page


def test_into_production_refs_move(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    life.plane.say("metadata:flights.daily", ["sort order: none → day"])
    page = visit("ada").page("/pipelines/flights/versions/1/promote/production")
    assert "Refs move." in page
    assert "sort order: none → day" in page
    assert "production-rule" in page
    assert str(life.plane.head("flights.daily", UAT.ref)) in page
    assert PRODUCTION.value in page


@pytest.mark.parametrize("path", ["promote/development", "promote/mars", "promote/qa"])
def test_a_page_that_leads_nowhere_is_not_there(visit: Open, life: Life, path: str) -> None:
    life.save()
    number = 9 if path.endswith("qa") else 1
    assert visit("ada").get(f"/pipelines/flights/versions/{number}/{path}").status_code == 404


def test_a_pipeline_that_a_visitor_may_not_see_is_not_shown(visit: Open, life: Life) -> None:
    life.save()
    life.save(make_spec("hotels"))
    life.add_person("mallory", None)
    with life.store.write(life.as_("adam"), "grant") as unit:
        unit.people.add_grant(
            person_id=life.person("mallory"), team_id=None, role="DataEngineer", scope="pipeline",
            scope_value="hotels", granted_by=None, revoked_at=None,
        )  # fmt: skip
        unit.audit("grant.added", "person:mallory")
    mallory = visit("mallory")
    assert mallory.get("/pipelines/hotels/versions/1/promote/qa").status_code == 200
    for answer in (mallory.get(TO_QA), mallory.post(TO_QA, if_plan="sha256:x")):
        assert answer.status_code == 403
        assert "sink0" not in answer.text


def test_wrong_input_is_refused_in_words(visit: Open, life: Life) -> None:
    in_qa(life)
    ada = visit("ada")
    assert "if_plan" in ada.said(TO_UAT)
    assert ada.post(TO_UAT, if_plan="x", reason="a\x00b").status_code == 422
    assert ada.post(TO_UAT, if_plan="x", reason="a" * 2_001).status_code == 422


def test_l1_the_requests_that_close_with_it_are_said_before_anybody_decides(visit: Open, life: Life) -> None:
    first = life.save()
    life.to_uat(first)
    life.run(first, UAT)
    waiting = life.ask(first, PRODUCTION).id
    second = life.save(make_spec(rows=2))
    life.to_qa(second)
    life.run(second, QA)
    ada = visit("ada")
    closes = f'<a href="/approvals/{waiting}">Request {waiting}</a>: flights v1 to production, requested'
    assert closes in ada.page("/pipelines/flights/versions/2/promote/uat")
    asked = life.ask(second, UAT).id
    assert closes in ada.page(f"/approvals/{asked}")
    life.approve(life.promotion(asked))
    assert life.promotion(waiting).state is State.WITHDRAWN
    assert closes not in ada.page(f"/approvals/{asked}"), "it is over"
