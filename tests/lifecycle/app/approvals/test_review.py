"""The review page: everything that a decision needs, and a decision about exactly that."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest

from lifecycle.app.approvals import review
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import Promotion, State
from lifecycle.usecases.accounts import disable_person
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.comment_promotion import comment_promotion
from lifecycle.usecases.holding import set_hold
from lifecycle.usecases.reject_promotion import reject_promotion
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.start_run import finish_run
from tests.lifecycle.app.approvals.reviewing import Open, asked, asked_for_production, url
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, UAT, Life, make_spec


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a comparison takes longer than a page waits for it; test_review_at_once has what it shows then."""
    monkeypatch.setattr(review, "_PAGE_WAITS", 60.0)


def test_everything_that_a_decision_needs_is_on_the_page(visit: Open, life: Life) -> None:
    _, request = asked_for_production(life)
    lea = visit("lea")
    page = unescape(lea.page(url(request)))
    candidate = life.plane.head("flights.daily", UAT.ref)
    for shown in (
        "requested by <strong>ada</strong>", "expires", "Refs move.", "every input is production's own", str(candidate),
        "0 of 1", "LeadDataEngineer or Admin", "adam, lea, leo", "checks0.some", "passed", "Approve this plan",
        "The plan is current: nothing has changed since it was made.", "first version there", "requested this promotion",
        f'hx-get="/approvals/{request.id}/data/flights.daily"', "toggle once", request.plan_digest,
    ):  # fmt: skip
        assert shown in page, shown


def test_approving_approves_what_was_seen_and_shows_the_execution(visit: Open, life: Life) -> None:
    _, request = asked_for_production(life)
    lea = visit("lea")
    answer = lea.post(url(request) + "/approve", plan_digest=request.plan_digest, reason="rows look right")
    assert (answer.status_code, answer.headers["location"]) == (303, url(request))
    assert life.active_number(PRODUCTION) == 1
    page = unescape(lea.page(url(request)))
    for shown in (
        "You approved. Version 1 is active in production.", "rows look right", "you approved", "1 of 1",
        "checking whether the plan is current", "flights.daily: main moves to snapshot", "version 1 is active in production",
        "finished the promotion", "moved: flights.daily",
    ):  # fmt: skip
        assert shown in page, shown
    assert "Approve this plan" not in page


def test_rejecting_needs_a_reason(visit: Open, life: Life) -> None:
    request = asked(life)
    lea = visit("lea")
    sent = {"plan_digest": request.plan_digest}
    assert "a rejection needs a reason" in lea.said(url(request) + "/reject", **sent, reason="  ")
    assert lea.post(url(request) + "/reject", **sent, reason="too few rows").status_code == 303
    assert life.promotion(request.id).state is State.REJECTED
    assert "lea: too few rows" in lea.page(url(request))


def test_the_author_reads_that_they_cannot_approve_and_who_can(visit: Open, life: Life) -> None:
    version = life.save(by="lea")
    life.to_qa(version)
    life.run(version, QA)
    request = life.ask(version, UAT, by="lea")
    lea = visit("lea")
    page = unescape(lea.page(url(request)))
    assert "You wrote this version, and you requested this promotion: you cannot approve it. adam or leo can." in page
    assert "disabled>Approve this plan" in page
    said = lea.said(url(request) + "/approve", plan_digest=request.plan_digest)
    why = "lea contributed to what request 2 would release and cannot approve it; ask adam or leo"
    assert why in said
    assert why in page, "the reason is the verb's own"
    assert "<strong>lea</strong>: contributed to what would be released" in page


def test_who_is_not_in_the_quorum_sees_for_whom_it_is(visit: Open, life: Life) -> None:
    request = asked(life)
    page = visit("vic").page(url(request))
    assert "must be decided by 1 LeadDataEngineer" in page
    assert "Reject…" not in page
    assert "Withdraw…" not in page


def test_a_plan_gone_stale_names_the_field_before_anyone_clicks(visit: Open, life: Life) -> None:
    _, request = asked_for_production(life)
    lea = visit("lea")
    assert "The plan is current" in lea.page(url(request) + "/status")
    base = life.plane.head("flights.daily", "main")
    moved = life.plane.commit("flights.daily")
    life.clock.advance(seconds=1)
    comment_promotion(life.ctx, life.as_("ada"), request.id, "something happened, so the page looks again")
    for path in ("/status", ""):
        page = unescape(lea.page(url(request) + path))
        assert "The plan is stale." in page
        assert "tables[flights.daily].base" in page
        assert f'<td class="mono break">{base if base is not None else "none"}</td>' in page
        assert f'<td class="mono break">{moved}</td>' in page
    decision = unescape(lea.page(url(request) + "/decision"))
    assert "approving would end the request as stale: tables[flights.daily].base" in decision
    assert "disabled>Approve this plan" in decision
    # What was shown is what execution finds.
    lea.post(url(request) + "/approve", plan_digest=request.plan_digest)
    ended = life.promotion(request.id)
    assert ended.state is State.STALE
    assert "tables[flights.daily].base" in ended.outcome
    assert ended.outcome.split(": ")[0] in page


def test_a_catalog_that_does_not_answer_is_said_and_the_page_stays(
    visit: Open, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(life)

    def gone(*_: object) -> object:
        raise ConnectionError("the catalog <b>is</b> away")

    monkeypatch.setattr(life.plane, "table", gone)
    page = visit("lea").page(url(request) + "/status")
    assert "the catalog &lt;b&gt;is&lt;/b&gt; away" in page
    assert "It is checked again before anything moves." in page


def test_a_refreshed_request_is_linked_both_ways(visit: Open, life: Life) -> None:
    request = asked(life)
    ada = visit("ada")
    reject_promotion(life.ctx, life.as_("lea"), request.id, request.plan_digest, reason="again")
    assert "Refresh the request" in ada.page(url(request))
    answer = ada.post(url(request) + "/refresh")
    assert answer.headers["location"] == f"/approvals/{request.id + 1}"
    assert f"Refreshed by request {request.id + 1}" in ada.page(url(request))
    assert f"Refresh of request {request.id}" in ada.page(f"/approvals/{request.id + 1}")


def test_who_asked_takes_it_back(visit: Open, life: Life) -> None:
    request = asked(life)
    assert "Withdraw…" not in visit("eve").page(url(request))
    assert "withdrawing this request needs the role" in visit("eve").said(url(request) + "/withdraw")
    ada = visit("ada")
    assert "Withdraw…" in ada.page(url(request))
    assert ada.post(url(request) + "/withdraw", reason="not yet").status_code == 303
    assert life.promotion(request.id).state is State.WITHDRAWN


def test_soak_and_freeze_are_said_with_the_time(visit: Open, life: Life) -> None:
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(soak=timedelta(hours=3)))
    request = asked(life)
    lea = visit("lea")
    page = unescape(lea.page(url(request)))
    assert "Once approved, it will wait: the version must soak for 3h in QA. May execute" in page
    lea.post(url(request) + "/approve", plan_digest=request.plan_digest)
    page = unescape(lea.page(url(request)))
    assert "Approved, waiting: the version must soak for 3h in QA. Executes automatically" in page
    assert "in 3 h" in page
    assert "disabled>Execute now</button>" in visit("eve").page(url(request))
    life.clock.advance(hours=4)
    assert f'action="{url(request)}/execute"' in visit("eve").page(url(request))
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, UAT, None, reason="quarter end")
    page = unescape(visit("eve").page(url(request)))
    assert f'action="{url(request)}/execute"' not in page
    assert re.search(r"disabled>Execute now</button>.*UAT is frozen: quarter end", page, re.DOTALL)
    # Who had the page open before that is told.
    page = _notice(lea, lea.post(url(request) + "/execute"), request)
    assert "Not yet: UAT is frozen: quarter end." in page
    assert 'class="told warn"' in page
    assert 'class="told good"' not in page


def _notice(visitor: Visit, answer: object, request: Promotion) -> str:
    assert getattr(answer, "status_code", None) == 303
    return unescape(visitor.page(url(request)))


def test_a_failed_execution_is_shown_step_by_step_and_resumed(visit: Open, life: Life) -> None:
    _, request = asked_for_production(life)
    life.plane.say("unreachable", True)
    lea = visit("lea")
    lea.post(url(request) + "/approve", plan_digest=request.plan_digest)
    page = unescape(lea.page(url(request)))
    assert life.promotion(request.id).state is State.FAILED
    assert "the catalog does not answer" in page
    assert re.search(r'class="state rejected">.*stopped</span><span class="break">flights.daily: main moves', page)
    assert re.search(r'class="state draft">.*not yet</span><span class="break">version 1 is active', page)
    assert "Resume the execution" in page
    life.plane.say("unreachable", False)
    assert lea.post(url(request) + "/execute").status_code == 303
    assert life.active_number(PRODUCTION) == 1


def test_two_of_a_team_and_a_lead_are_counted_by_part(visit: Open, life: Life) -> None:
    with life.store.write(life.as_("adam"), "team") as unit:
        team = unit.people.add_team("risk")
        unit.people.set_member(team.id, life.person("eve"), member=True)
        unit.audit("team.added", "team:risk")
    quorum = "1 LeadDataEngineer and 1 of team:risk or 2 of team:risk"
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(quorum=quorum))
    request = asked(life)
    eve = visit("eve")
    eve.post(url(request) + "/approve", plan_digest=request.plan_digest, reason="risk is fine")
    assert "You approved. More approvals are needed." in unescape(eve.page(url(request)))
    status = unescape(eve.page(url(request) + "/status"))
    assert re.search(r"0 of 1</strong> LeadDataEngineer or Admin", status)
    assert re.search(r"1 of 1</strong> team risk.*eve", status)
    assert re.search(r"1 of 2</strong> team risk.*eve", status)
    assert 'Can still approve: <strong class="break">adam, lea, leo' in status


def test_the_next_one_that_waits_for_me_is_one_click_away(visit: Open, life: Life) -> None:
    first = asked(life)
    other = life.save(make_spec("hotels"))
    life.to_qa(other, "hotels")
    life.run(other, QA, "hotels")
    second = life.ask(other, UAT, name="hotels")
    lea = visit("lea")
    assert f"Next: request {second.id}" in lea.page(url(first))
    lea.post(url(first) + "/approve", plan_digest=first.plan_digest)
    assert f"Next: request {second.id}" in lea.page(url(first))
    lea.post(url(second) + "/approve", plan_digest=second.plan_digest)
    assert "Next: request" not in lea.page(url(second))
    assert "Next: request" not in visit("ada").page(url(first))


def test_l7_an_unreviewed_release_is_marked_and_reviewed_later(visit: Open, life: Life) -> None:
    version = life.save()
    released = break_glass(life.ctx, life.as_("lea"), "flights", version.number, PRODUCTION, reason="<i>outage</i>")
    lea, leo = visit("lea"), visit("leo")
    page = unescape(lea.page(url(released)))
    assert "unreviewed</span>" in page
    assert "lea contributed to what request 1 would release and cannot approve it" in page
    assert "&lt;i&gt;outage" in lea.page(url(released))
    sent = {"plan_digest": released.plan_digest, "verdict": "approve"}
    assert "Record the review" in leo.page(url(released))
    assert "a review needs a reason" in leo.said(url(released) + "/review", **sent)
    assert leo.post(url(released) + "/review", **sent, reason="was needed").status_code == 303
    page = leo.page(url(released))
    assert "unreviewed</span>" in page
    assert "Record the review" not in page
    assert "was needed" in page


def test_l6_an_approval_that_lapsed_is_said_and_its_seat_is_free_again(visit: Open, life: Life) -> None:
    """Finding 6; failed on 0.1.0."""
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(quorum="2 LeadDataEngineer"))
    request = asked(life)
    life.approve(request, "lea")
    leo = visit("leo")
    assert "1 of 2" in leo.page(url(request))
    disable_person(life.ctx, life.as_("adam"), "lea")
    page = unescape(leo.page(url(request)))
    for shown in ("0 of 2", "lapsed", "This approval no longer counts: the account is disabled.", "Approve this plan"):
        assert shown in page, shown
    life.approve(request, "leo")
    page = unescape(leo.page(url(request)))
    assert "1 of 2" in page
    assert 'Can still approve: <strong class="break">adam</strong>' in page


def test_l3_a_failed_run_after_the_evidence_is_on_the_page_before_anybody_decides(visit: Open, life: Life) -> None:
    """Finding 5, case F14; failed on 0.1.0."""
    version, request = asked_for_production(life)
    lea = visit("lea")
    assert "since the evidence did not pass" not in lea.page(url(request))
    run_id = life.begin(version, UAT)
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    for path in (url(request), f"{url(request)}/status"):
        page = unescape(lea.page(path))
        assert "1 of 1 run in UAT since the evidence did not pass." in page
        assert f'title="{run_id}"' in page
    assert "Approve this plan" in lea.page(url(request))
    plan = visit("ada").page("/pipelines/flights/versions/1/promote/production")
    assert "1 of 1 run in UAT after this evidence did not pass" in plan
