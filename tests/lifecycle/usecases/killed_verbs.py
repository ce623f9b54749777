"""Every verb that writes: how to get ready for it, and how to do it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import Verdict
from lifecycle.domain.roles import Role
from lifecycle.usecases.accounts import add_person, disable_person
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.approve_promotion import approve_promotion
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.comment_promotion import comment_promotion
from lifecycle.usecases.delete_pipeline import delete_pipeline
from lifecycle.usecases.demote_version import demote_version
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.export_version import export_version
from lifecycle.usecases.grant_permit import Publish, grant_permit, record_receipt
from lifecycle.usecases.grants import add_grant, add_team, revoke_grant, set_member
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.import_version import import_version
from lifecycle.usecases.openid_accounts import link_person
from lifecycle.usecases.parts.trial_columns import note_trial
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.refresh_promotion import refresh_promotion
from lifecycle.usecases.reject_promotion import reject_promotion
from lifecycle.usecases.request_promotion import request_promotion
from lifecycle.usecases.retire_version import retire_version
from lifecycle.usecases.review_release import review_release
from lifecycle.usecases.rollback_release import plan_rollback, rollback_release
from lifecycle.usecases.save_version import save_version
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.settle_drift import settle_drift
from lifecycle.usecases.start_run import finish_run, new_session, start_run
from lifecycle.usecases.tick import tick
from lifecycle.usecases.tokens import issue_token, list_tokens, revoke_token
from lifecycle.usecases.withdraw_promotion import withdraw_promotion
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec

Setup = Callable[[Life], Any]
Act = Callable[[Life, Any], object]
VERBS: dict[str, tuple[Setup, Act]] = {}


def verb(setup: Setup) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        VERBS[act.__name__] = (setup, act)
        return act

    return register


def saved(life: Life) -> Any:
    return life.save()


def in_qa(life: Life) -> Any:
    version = life.save()
    life.to_qa(version)
    return version


def ran_in_qa(life: Life) -> Any:
    version = in_qa(life)
    life.run(version, QA)
    return version


def uat_asked(life: Life) -> Any:
    return life.ask(ran_in_qa(life), UAT)


def production_asked(life: Life) -> Any:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    return life.ask(version, PRODUCTION)


def two_releases(life: Life) -> Any:
    life.to_production(life.save())
    life.to_production(life.save(make_spec(rows=2)))
    return plan_rollback(life.ctx, life.as_("lea"), "flights", data=True).plan.digest


def running(life: Life) -> Publish:
    version = in_qa(life)
    return life.publishing(life.begin(version, QA), "flights.daily", QA)


def published(life: Life) -> int:
    asked = running(life)
    permit = grant_permit(life.ctx, DAGSTER, asked).permit
    assert permit is not None
    life.plane.publish(asked.table, asked.ref, asked.base, asked.candidate)
    return permit.id


def unsettled(life: Life) -> int:
    permit = published(life)
    life.clock.advance(minutes=9)
    return permit


def drifted(life: Life) -> int:
    life.to_production(life.save())
    life.plane.commit("flights.daily")
    return reconcile(life.ctx, SETUP).drifts[0].id


def exported(life: Life) -> bytes:
    bundle = export_version(life.ctx, life.as_("ada"), "flights", life.save().number)
    life.save(make_spec(rows=2))
    return bundle


def frozen(life: Life) -> int:
    in_qa(life)
    return set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, QA, None, reason="audit").id


def with_a_column_on_trial(life: Life) -> None:
    """v2 is in UAT and has added a column to the real table; v3 is in QA."""
    life.to_production(life.save())
    version = life.save(make_spec(rows=2))
    life.to_qa(version)
    run_id = life.begin(version, QA)
    note_trial(life.ctx, DAGSTER, run_id, "flights", "flights.daily", added=("b",), columns=("id", "b"))
    life.plane.say("columns:flights.daily", ["b"])
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    life.run(version, QA)
    life.approve(life.ask(version, UAT))
    life.to_qa(life.save(make_spec(rows=3)))


def glass_broken(life: Life) -> Any:
    in_qa(life)
    return break_glass(life.ctx, life.as_("lea"), "flights", 1, PRODUCTION, reason="down")


def with_team(life: Life) -> int:
    saved(life)
    add_team(life.ctx, life.as_("adam"), "risk")
    set_member(life.ctx, life.as_("adam"), "risk", "vic", member=True)
    return add_grant(life.ctx, life.as_("adam"), Role.LEAD, team="risk").id


def with_token(life: Life) -> int:
    saved(life)
    return issue_token(
        life.ctx, life.as_("ada"), "ci", scopes=[TokenScope.READ], life=timedelta(days=1), within=TokenScope
    ).id


@verb(saved)
def save(life: Life, _: Any) -> None:
    save_version(life.ctx, life.as_("eve"), make_spec(rows=2), key="k")


@verb(saved)
def delete(life: Life, _: Any) -> None:
    delete_pipeline(life.ctx, life.as_("lea"), "flights", key="k")


@verb(saved)
def promote_to_qa(life: Life, _: Any) -> None:
    asked = request_promotion(life.ctx, life.as_("ada"), "flights", 1, QA, key="k")
    execute_promotion(life.ctx, life.as_("ada"), asked.id)


@verb(production_asked)
def approve_and_carry(life: Life, asked: Any) -> None:
    approve_promotion(life.ctx, life.as_("lea"), asked.id, asked.plan_digest, key="k")
    life.clock.advance(minutes=9)
    tick(life.ctx, SETUP)


@verb(uat_asked)
def reject(life: Life, asked: Any) -> None:
    reject_promotion(life.ctx, life.as_("lea"), asked.id, asked.plan_digest, reason="no", key="k")


@verb(uat_asked)
def withdraw(life: Life, asked: Any) -> None:
    withdraw_promotion(life.ctx, life.as_("ada"), asked.id, key="k")


@verb(uat_asked)
def refresh(life: Life, asked: Any) -> None:
    refresh_promotion(life.ctx, life.as_("ada"), asked.id, key="k")


@verb(uat_asked)
def comment(life: Life, asked: Any) -> None:
    comment_promotion(life.ctx, life.as_("vic"), asked.id, "why?", key="k")


@verb(uat_asked)
def expire(life: Life, _: Any) -> None:
    life.clock.advance(days=8)
    tick(life.ctx, SETUP)


@verb(two_releases)
def demote(life: Life, _: Any) -> None:
    demote_version(life.ctx, life.as_("lea"), "flights", 2, reason="wrong", key="k")


@verb(with_a_column_on_trial)
def demote_and_remove_its_columns(life: Life, _: Any) -> None:
    demote_version(life.ctx, life.as_("lea"), "flights", 2, reason="wrong", key="k")
    reconcile(life.ctx, SETUP)


@verb(two_releases)
def retire(life: Life, _: Any) -> None:
    retire_version(life.ctx, life.as_("lea"), "flights", 2, reason="old", key="k")


@verb(two_releases)
def rollback_with_data(life: Life, consent: Any) -> None:
    asked = rollback_release(life.ctx, life.as_("lea"), "flights", reason="bad", data=True, consent=consent, key="k")
    life.clock.advance(minutes=9)
    execute_promotion(life.ctx, SETUP, asked.id)


@verb(in_qa)
def break_the_glass(life: Life, _: Any) -> None:
    asked = break_glass(life.ctx, life.as_("lea"), "flights", 1, PRODUCTION, reason="down", key="k")
    life.clock.advance(minutes=9)
    execute_promotion(life.ctx, SETUP, asked.id)


@verb(in_qa)
def set_a_policy(life: Life, _: Any) -> None:
    set_policy(life.ctx, life.as_("adam"), UAT, "flights", Policy(), key="k")


@verb(running)
def stop(life: Life, _: Any) -> None:
    set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, QA, None, reason="bad data", key="k")


@verb(in_qa)
def admit_start_finish(life: Life, version: Any) -> None:
    with life.store.read() as view:
        known = view.runs.admission("r", version.pipeline_id)
    if known is None or known.state.is_live:
        admit_run(life.ctx, DAGSTER, "r", name="flights", digest=version.digest, environment=QA)
        start_run(life.ctx, DAGSTER, "r", "flights")
        finish_run(life.ctx, DAGSTER, "r", "flights")


@verb(running)
def permit(life: Life, asked: Any) -> None:
    grant_permit(life.ctx, DAGSTER, asked)


@verb(published)
def receipt(life: Life, permit_id: Any) -> None:
    record_receipt(life.ctx, DAGSTER, permit_id)


@verb(unsettled)
def reconcile_a_lost_receipt(life: Life, _: Any) -> None:
    reconcile(life.ctx, SETUP)


@verb(drifted)
def revert_drift(life: Life, drift_id: Any) -> None:
    settle_drift(life.ctx, life.as_("lea"), drift_id, "revert", reason="foreign", key="k")


@verb(drifted)
def adopt_drift(life: Life, drift_id: Any) -> None:
    settle_drift(life.ctx, life.as_("lea"), drift_id, "adopt", reason="known", key="k")


@verb(exported)
def import_a_bundle(life: Life, bundle: Any) -> None:
    import_version(life.ctx, life.as_("eve"), bundle, key="k")


@verb(running)
def freeze(life: Life, _: Any) -> None:
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, QA, None, reason="audit", key="k")


@verb(frozen)
def lift(life: Life, hold_id: Any) -> None:
    lift_hold(life.ctx, life.as_("lea"), hold_id)


@verb(glass_broken)
def review(life: Life, release: Any) -> None:
    review_release(
        life.ctx, life.as_("leo"), release.id, release.plan_digest, Verdict.APPROVE, reason="fine", key="k"
    )  # fmt: skip


@verb(ran_in_qa)
def refresh_the_evidence(life: Life, _: Any) -> None:
    new_session(life.ctx, life.as_("ada"), "flights", QA)


@verb(saved)
def add_a_person(life: Life, _: Any) -> None:
    add_person(life.ctx, life.as_("adam"), "new", email="new@example.org", key="k")


@verb(saved)
def disable_somebody(life: Life, _: Any) -> None:
    disable_person(life.ctx, life.as_("adam"), "vic")


@verb(saved)
def link_somebody(life: Life, _: Any) -> None:
    link_person(life.ctx, life.as_("adam"), "vic", "https://id.example.org|1")


@verb(saved)
def set_a_password(life: Life, _: Any) -> None:
    life.give_password("vic", "a long enough password")


@verb(saved)
def add_a_team_with_a_member(life: Life, _: Any) -> None:
    add_team(life.ctx, life.as_("adam"), "risk", key="k")
    set_member(life.ctx, life.as_("adam"), "risk", "vic", member=True)


@verb(with_team)
def leave_a_team(life: Life, _: Any) -> None:
    set_member(life.ctx, life.as_("adam"), "risk", "vic", member=False)


@verb(with_team)
def grant_a_role(life: Life, _: Any) -> None:
    add_grant(life.ctx, life.as_("adam"), Role.LEAD, team="risk", key="k")


@verb(with_team)
def revoke_a_role(life: Life, grant_id: Any) -> None:
    revoke_grant(life.ctx, life.as_("adam"), grant_id)


@verb(saved)
def issue_a_token(life: Life, _: Any) -> None:
    # Its secret is shown once and kept nowhere: who did not see it revokes the token and issues another.
    for token in list_tokens(life.ctx, life.as_("ada")):
        revoke_token(life.ctx, life.as_("ada"), token.id)
    issue_token(life.ctx, life.as_("ada"), "ci", scopes=[TokenScope.READ], life=timedelta(days=1), within=TokenScope)


@verb(with_token)
def revoke_a_token(life: Life, token_id: Any) -> None:
    revoke_token(life.ctx, life.as_("ada"), token_id)
