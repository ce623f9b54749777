"""An approval counts while its giver may still give it (L6): when the quorum is counted and at execution."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import ScopeKind
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import Promotion, State
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Label
from lifecycle.errors import Forbidden
from lifecycle.ports import Move, MoveResult
from lifecycle.store.store import Store
from lifecycle.usecases.accounts import disable_person
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.grant_permit import grant_permit
from lifecycle.usecases.grants import add_grant, add_team, revoke_grant, set_member
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.parts.counting import said
from lifecycle.usecases.pending import may_decide
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.tick import tick
from tests.fakes.clock import FakeClock
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec


def asked(life: Life, quorum: str = "2 LeadDataEngineer") -> Promotion:
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(quorum=quorum))
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    return life.ask(version, UAT)


def revoke(life: Life, name: str) -> None:
    with life.store.read() as view:
        grants = view.people.grants(life.person(name))
    for grant in grants:
        revoke_grant(life.ctx, life.as_("adam"), grant.id)


def disable(life: Life, name: str) -> None:
    disable_person(life.ctx, life.as_("adam"), name)


def lower(life: Life, name: str) -> None:
    revoke(life, name)
    add_grant(life.ctx, life.as_("adam"), Role.DATA_ENGINEER, person=name)


def save_the_same(life: Life, name: str) -> None:
    life.save(by=name)


LOSSES: list[tuple[Callable[[Life, str], None], str]] = [
    (revoke, "no longer have a role"),
    (disable, "the account is disabled"),
    (lower, "no longer count towards the quorum"),
    (save_the_same, "contributed"),
]
losses = pytest.mark.parametrize(("lose", "why"), LOSSES, ids=[one.__name__ for one, _ in LOSSES])


def lapses(life: Life, request: int) -> dict[str, str]:
    with life.store.read() as view:
        found = said(view, view.promotions.get(request))
        return {view.people.get(one.person).name: one.lapsed for one in found}


@losses
def test_l6_an_approval_of_somebody_who_lost_the_right_fills_no_quorum(
    life: Life, lose: Callable[[Life, str], None], why: str
) -> None:
    """Finding 6, case F15; failed on 0.1.0."""
    request = asked(life)
    assert life.approve(request, "lea").state is State.REQUESTED
    lose(life, "lea")
    assert life.approve(request, "leo").state is State.REQUESTED
    assert life.active_number(UAT) is None
    found = lapses(life, request.id)
    assert why in found["lea"]
    assert found["leo"] == ""
    with life.store.read() as view:
        assert may_decide(view, view.promotions.get(request.id)) == ("adam",)
    assert life.approve(request, "adam").state is State.DONE


@losses
def test_l6_an_approved_request_asks_again_when_an_approval_lapses_before_execution(
    life: Life, lose: Callable[[Life, str], None], why: str
) -> None:
    """Finding 6; failed on 0.1.0."""
    request = asked(life)
    hold = set_hold(life.ctx, life.as_("leo"), HoldKind.FREEZE, UAT, None, reason="wait")
    life.approve(request, "lea")
    assert life.approve(request, "leo").state is State.APPROVED
    lose(life, "lea")
    lift_hold(life.ctx, life.as_("leo"), hold.id)
    if life.promotion(request.id).state is State.APPROVED:
        execution = execute_promotion(life.ctx, SETUP, request.id)
        assert execution.waiting is not None
        assert why in execution.waiting.why
    after = life.promotion(request.id)
    assert (after.state, after.approved_at, after.plan_digest) == (State.REQUESTED, None, request.plan_digest)
    assert tick(life.ctx, SETUP).executed == ()
    with life.store.read() as view:
        (lapsed,) = view.log.search(verb="promotion.lapsed")
    assert "lea" in lapsed.body["reason"]
    assert life.approve(request, "adam").state is State.DONE
    active = life.active(UAT)
    assert active is not None
    assert active.label is Label.APPROVED


def test_l6_it_counts_again_when_the_right_comes_back(life: Life) -> None:
    request = asked(life)
    life.approve(request, "lea")
    revoke(life, "lea")
    assert life.approve(request, "leo").state is State.REQUESTED
    add_grant(life.ctx, life.as_("adam"), Role.LEAD, person="lea")
    assert tick(life.ctx, SETUP).executed == (request.id,)
    assert life.active_number(UAT) == 1


def test_l6_who_lost_the_right_is_refused_a_second_time_and_told_why(life: Life) -> None:
    request = asked(life)
    life.approve(request, "lea")
    lower(life, "lea")
    with pytest.raises(Forbidden, match="2 LeadDataEngineer"):
        life.approve(request, "lea")


def test_l6_leaving_the_team_lapses_and_the_grant_through_a_team_too(life: Life) -> None:
    add_team(life.ctx, life.as_("adam"), "risk")
    set_member(life.ctx, life.as_("adam"), "risk", "eve", member=True)
    request = asked(life, "1 of team:risk and 1 LeadDataEngineer")
    life.approve(request, "eve")
    set_member(life.ctx, life.as_("adam"), "risk", "eve", member=False)
    assert life.approve(request, "lea").state is State.REQUESTED
    set_member(life.ctx, life.as_("adam"), "risk", "eve", member=True)
    assert tick(life.ctx, SETUP).executed == (request.id,)


def test_l6_a_grant_on_another_pipeline_does_not_keep_it(life: Life) -> None:
    request = asked(life, "1 LeadDataEngineer")
    hold = set_hold(life.ctx, life.as_("leo"), HoldKind.FREEZE, UAT, None, reason="wait")
    assert life.approve(request, "lea").state is State.APPROVED
    revoke(life, "lea")
    add_grant(life.ctx, life.as_("adam"), Role.LEAD, person="lea", scope=ScopeKind.PIPELINE, scope_value="other")
    assert life.promotion(request.id).state is State.REQUESTED
    lift_hold(life.ctx, life.as_("leo"), hold.id)
    assert tick(life.ctx, SETUP).executed == ()


def test_l6_what_was_approved_solo_does_not_lapse_as_own_work(life: Life) -> None:
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(approvals="solo", quorum="2 LeadDataEngineer"))
    version = life.save(by="lea")
    life.to_qa(version)
    life.run(version, QA)
    request = life.ask(version, UAT, by="lea")
    life.approve(request, "lea")
    assert life.approve(request, "leo").state is State.DONE


class OneMoveFails(FakePlane):
    """The catalog is away, once, when the second table is about to move."""

    moves = 0

    def move(self, move: Move, environment: Environment) -> MoveResult:
        self.moves += 1
        if self.moves == 2:
            raise ConnectionError("the catalog is away")
        return super().move(move, environment)


def test_l12_a_promotion_whose_refs_began_to_move_is_finished_and_labelled_by_what_counts(
    store: Store, tmp_path: Path, clock: FakeClock
) -> None:
    """All or nothing goes first; the release is labelled unreviewed when its approval lapsed meanwhile."""
    life = Life(store, tmp_path, clock, plane=OneMoveFails(tmp_path / "plane.db"))
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    request = life.ask(version, PRODUCTION)
    assert life.approve(request, "lea").state is State.FAILED
    revoke(life, "lea")
    assert execute_promotion(life.ctx, SETUP, request.id).promotion.state is State.DONE
    active = life.active(PRODUCTION)
    assert active is not None
    assert active.label is Label.UNREVIEWED


def test_l6_an_execution_that_waits_for_a_run_is_reopened(life: Life) -> None:
    """It is taken, but nothing moved: the second look finds the approval gone."""
    first = life.save()
    life.to_production(first)
    second = life.save(make_spec(rows=2))
    life.to_uat(second)
    life.run(second, UAT)
    request = life.ask(second, PRODUCTION)
    publishing = life.publishing(life.begin(first, PRODUCTION), "flights.daily", PRODUCTION)
    assert grant_permit(life.ctx, DAGSTER, publishing).permit is not None
    assert life.approve(request, "lea").state is State.EXECUTING
    revoke(life, "lea")
    execution = execute_promotion(life.ctx, SETUP, request.id)
    assert execution.promotion.state is State.REQUESTED
    assert life.active_number(PRODUCTION) == 1
