"""Nobody approves their own work (L6, L7), and policies say who else may."""

from __future__ import annotations

import pytest

from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Promotion, State, Verdict
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Label, Version
from lifecycle.errors import Conflict, Forbidden, Invalid, Refused, Unauthorized
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.review_release import review_release
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.tick import tick
from tests.lifecycle.life import PRODUCTION, QA, SETUP, UAT, Life, make_spec


def ready(life: Life, by: str = "ada", rows: int = 1) -> Version:
    version = life.save(make_spec(rows=rows), by=by)
    life.to_qa(version)
    life.run(version, QA)
    return version


def asked(life: Life, by: str = "ada") -> Promotion:
    return life.ask(ready(life, by), UAT, by)


@pytest.mark.parametrize("author", ["lea", "adam"])
def test_l6_an_author_cannot_approve_admins_included(life: Life, author: str) -> None:
    request = asked(life, author)
    with pytest.raises(Forbidden, match=rf"{author} contributed .*; ask "):
        life.approve(request, author)


def test_l6_who_asked_cannot_approve(life: Life) -> None:
    version = ready(life)
    request = life.ask(version, UAT, by="lea")
    with pytest.raises(Forbidden, match="lea contributed"):
        life.approve(request, "lea")
    assert life.approve(request, "leo").state is State.DONE


def test_l6_authors_of_earlier_unreleased_versions_contributed(life: Life) -> None:
    life.save(make_spec(rows=5), by="lea")
    request = asked(life)
    with pytest.raises(Forbidden, match="lea contributed"):
        life.approve(request, "lea")


def test_l6_work_that_is_in_the_target_already_does_not_count(life: Life) -> None:
    life.to_uat(life.save(by="lea"), by="leo")
    request = life.ask(ready(life, rows=2), UAT)
    assert life.approve(request, "lea").state is State.DONE


def test_l6_accounts_with_one_verified_address_are_one_person(life: Life) -> None:
    life.add_person("ada2", Role.LEAD, email="ADA@example.org")
    request = asked(life)
    with pytest.raises(Forbidden, match="ada2 contributed"):
        life.approve(request, "ada2")


def test_l6_an_unverified_address_proves_nothing(life: Life) -> None:
    life.add_person("eva", Role.LEAD, email="ada@example.org", email_verified=False)
    assert life.approve(asked(life), "eva").state is State.DONE


def test_l6_agents_never_approve_and_count_as_who_they_act_for(life: Life) -> None:
    request = asked(life, "eve")
    with pytest.raises(Forbidden):
        life.approve(request, "bot")
    life.add_person("agent", Role.DATA_ENGINEER, kind="service", acts_for=life.person("lea"))
    request = life.ask(ready(life, "agent", rows=2), UAT, by="eve")
    with pytest.raises(Forbidden, match="lea contributed"):
        life.approve(request, "lea")


def test_l6_a_request_that_nobody_can_satisfy_is_refused_with_what_would_help(life: Life) -> None:
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(quorum="1 of person:lea"))
    version = ready(life, "lea")
    with pytest.raises(Refused, match=r"not enough people can approve .*than lea"):
        life.ask(version, UAT)


def test_l6_the_plan_lists_who_may_still_approve(life: Life) -> None:
    version = ready(life, "lea")
    advice = plan_promotion(life.ctx, life.as_("ada"), "flights", version.number, UAT).advice
    assert advice.may_approve == ("adam", "leo")


def test_viewers_and_the_system_approve_nothing(life: Life) -> None:
    request = asked(life)
    with pytest.raises(Forbidden, match="1 LeadDataEngineer"):
        life.approve(request, "vic")
    from lifecycle.usecases.approve_promotion import approve_promotion

    with pytest.raises(Unauthorized):
        approve_promotion(life.ctx, SETUP, request.id, request.plan_digest)


def test_approving_another_plan_than_the_one_looked_at_is_refused(life: Life) -> None:
    from lifecycle.usecases.approve_promotion import approve_promotion

    request = asked(life)
    with pytest.raises(Conflict, match="a different plan"):
        approve_promotion(life.ctx, life.as_("lea"), request.id, "sha256:other")


def test_a_quorum_of_two_needs_two_people(life: Life) -> None:
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(quorum="2 LeadDataEngineer"))
    request = asked(life)
    assert life.approve(request, "lea").state is State.REQUESTED
    assert life.approve(request, "lea").state is State.REQUESTED
    assert life.approve(request, "leo").state is State.DONE


def test_l7_no_policy_means_no(life: Life) -> None:
    set_policy(life.ctx, life.as_("adam"), UAT, None, None)
    with pytest.raises(Refused, match="UAT has no policy"):
        asked(life)


def test_l7_a_policy_set_as_it_is_makes_no_revision_and_no_request_stale(life: Life) -> None:
    first = set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(evidence_parameters={"n": 1}))
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy())
    request = asked(life)
    with life.store.read() as view:
        before, head = view.policies.revision(UAT, None), view.log.head()
    for key in (None, "k", "k"):
        assert set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(), key=key) == before
    with life.store.read() as view:
        assert view.log.head() == head
    assert life.approve(request).state is State.DONE
    # As parameters of a run, 1 and true are not the same.
    again = set_policy(life.ctx, life.as_("adam"), UAT, None, first.body)
    truth = set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(evidence_parameters={"n": True}))
    assert again.id < truth.id


def test_l7_solo_is_shown_as_unreviewed(life: Life) -> None:
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(approvals="solo"))
    request = asked(life, "lea")
    assert life.approve(request, "lea").state is State.DONE
    active = life.active(UAT)
    assert active is not None
    assert active.label is Label.UNREVIEWED


def test_l7_break_glass_deploys_unreviewed_and_is_reviewed_later_by_another(life: Life) -> None:
    version = ready(life)
    with pytest.raises(Invalid):
        break_glass(life.ctx, life.as_("lea"), "flights", 1, PRODUCTION, reason=" ")
    with pytest.raises(Forbidden):
        break_glass(life.ctx, life.as_("ada"), "flights", 1, PRODUCTION, reason="the site is down")
    done = break_glass(life.ctx, life.as_("lea"), "flights", version.number, PRODUCTION, reason="the site is down")
    active = life.active(PRODUCTION)
    assert active is not None
    assert (done.state, active.label) == (State.DONE, Label.UNREVIEWED)
    with pytest.raises(Forbidden):
        review_release(life.ctx, life.as_("lea"), done.id, done.plan_digest, Verdict.APPROVE, reason="fine")
    review_release(life.ctx, life.as_("leo"), done.id, done.plan_digest, Verdict.APPROVE, reason="fine")
    assert life.active(PRODUCTION) == active


def test_l8_soak_and_windows_delay_and_then_it_executes_by_itself(life: Life) -> None:
    window = {
        "name": "weekend",
        "start": "2026-03-07T00:00:00",
        "duration": "2d",
        "rule": "FREQ=WEEKLY;BYDAY=SA",
    }
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy.model_validate({"soak": "5d", "windows": [window]}))
    request = asked(life)
    assert life.approve(request).state is State.APPROVED
    assert life.promotion(request.id).state is State.APPROVED
    life.clock.advance(days=5, hours=1)  # a Saturday
    assert tick(life.ctx, SETUP).executed == ()
    life.clock.advance(days=1, hours=20)
    assert tick(life.ctx, SETUP).executed == (request.id,)
    assert life.active_number(UAT) == 1


def test_l8_a_request_expires_when_nobody_completes_it(life: Life) -> None:
    request = asked(life)
    life.clock.advance(days=7, hours=1)
    with pytest.raises(Conflict, match="expired"):
        life.approve(request)
    assert tick(life.ctx, SETUP).expired == (request.id,)
    assert life.promotion(request.id).state is State.EXPIRED


def test_a2_a_grant_on_one_pipeline_reaches_no_other(life: Life) -> None:
    life.add_person("pia", None)
    with life.store.write(SETUP, "grant") as unit:
        unit.people.add_grant(
            person_id=life.person("pia"), team_id=None, role=Role.LEAD.value, scope="pipeline",
            scope_value="other", granted_by=None, revoked_at=None,
        )  # fmt: skip
        unit.audit("granted", "person:pia")
    with pytest.raises(Forbidden):
        life.approve(asked(life), "pia")
    assert life.save(make_spec("other"), by="pia").number == 1


def test_a2_a_new_version_cannot_widen_who_may_decide_about_it(life: Life) -> None:
    life.to_uat(life.save(make_spec(tags={"team": "core"})))
    life.add_person("tom", None)
    with life.store.write(SETUP, "grant") as unit:
        unit.people.add_grant(
            person_id=life.person("tom"), team_id=None, role=Role.LEAD.value, scope="tag",
            scope_value="team=friends", granted_by=None, revoked_at=None,
        )  # fmt: skip
        unit.audit("granted", "person:tom")
    version = life.save(make_spec(rows=2, tags={"team": "friends"}))
    life.to_qa(version)
    life.run(version, QA)
    request = life.ask(version, UAT)
    with pytest.raises(Forbidden):
        life.approve(request, "tom")


def test_a4_the_audit_log_says_who_through_what_and_from_where(life: Life) -> None:
    asked(life)
    with life.store.read() as view:
        entry = view.log.search(verb="promotion.requested")[0]
    assert entry.actor == {
        "person": life.person("ada"),
        "name": "ada",
        "way_in": "cli",
        "host": "laptop",
        "os_user": "",
    }


def test_environments_in_their_order() -> None:
    assert [one.before for one in Environment] == [None, *list(Environment)[:3]]
