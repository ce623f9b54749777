"""kill -9 after each write of each verb: doing it again loses nothing and repeats nothing (L11, L12)."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from lifecycle.audit import verify
from lifecycle.audit.keys import SigningKey
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.environment import Role
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import Verdict
from lifecycle.store.engine import open_engine
from lifecycle.store.store import Store
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
from tests.fakes.clock import FakeClock
from tests.fakes.plane import FakePlane
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


class World:
    """A prepared folder, laid out anew for each try. One engine serves all of them: it compiles a statement once."""

    def __init__(self, folder: Path, base: Path, key: SigningKey, start: Any) -> None:
        self._folder, self._base, self._key, self._start = folder, base, key, start
        self._engine = open_engine(f"sqlite:///{folder / 'lifecycle.db'}")

    def lay_out(self) -> None:
        """As it was before anything happened; no connection is open afterwards."""
        self.close()
        shutil.copytree(self._base, self._folder)

    def enter(self) -> Life:
        clock = FakeClock(self._start)
        return Life(Store(self._engine, self._key, clock), self._folder, clock)

    def close(self) -> None:
        self._engine.dispose()
        shutil.rmtree(self._folder, ignore_errors=True)


def killed_after(world: World, act: Act, given: Any, writes: int) -> bool:
    """Runs `act` in a process that dies by SIGKILL after so many writes; False when it ended before."""
    child = os.fork()
    if child == 0:
        left = [writes]

        def wrote(*_: Any) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def statement(_c: Any, _cu: Any, text: str, *_: Any) -> None:
            if text.split(" ", 1)[0] in {"INSERT", "UPDATE", "DELETE"}:
                wrote()

        try:
            life = world.enter()
            event.listen(life.store.engine, "after_cursor_execute", statement)
            event.listen(life.store.engine, "commit", wrote)
            for name in ("move", "undo", "pin", "unpin", "open_session"):
                _count(life.plane, name, wrote)
            act(life, given)
            # What follows a commit: the connection goes back, nothing is written.
            os._exit(0)
        except BaseException:  # noqa: BLE001 (the child must end here)
            import traceback

            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _count(plane: FakePlane, name: str, wrote: Callable[[], None]) -> None:
    whole = getattr(plane, name)

    def counted(*given: Any) -> Any:
        answer = whole(*given)
        wrote()
        return answer

    setattr(plane, name, counted)


def picture(life: Life) -> dict[str, Any]:
    """Everything that must come out the same, however often the verb was interrupted."""
    # What resuming says again, and what is done again because its first outcome was not seen.
    resumed = {
        "promotion.executing", "promotion.journal", "promotion.waiting", "token.issued", "token.revoked", "password.set",
        "drift.reverting",
    }  # fmt: skip
    with life.store.read() as view:
        pipeline = view.pipelines.find("flights")
        assert pipeline is not None
        assert verify(
            view.log.entries(),
            view.log.head(),
            {life.store.signing_key.key_id: life.store.signing_key.public},
        ).whole
        return {
            "deployments": [(d.environment, d.version_id, d.ended_reason, d.label) for d in view.deployments.history(pipeline.id)],
            "promotions": [(p.id, p.state, p.outcome) for p in view.promotions.list()],
            "comments": len(view.promotions.comments(1)) + len(view.promotions.comments(2)),
            "receipts": [(r.table_name, r.snapshot, r.ref) for r in view.runs.receipts()],
            "live": (view.runs.live_permits(), [a.run_id for a in view.runs.live_admissions()]),
            "people": [
                (p.name, p.disabled_at is None, p.subject, p.password_hash is None, view.people.team_names(p.id),
                 [(g.role, g.team_id) for g in view.people.grants(p.id)], [t.name for t in view.people.tokens(p.id)])
                for p in view.people.all()
            ],
            "teams": [t.name for t in view.people.teams()],
            "reviews": [(d.promotion_id, d.person, d.verdict) for p in view.promotions.list() for d in view.promotions.decisions(p.id)],
            "sessions": [(s.id, s.state) for e in (QA, UAT) for v in view.pipelines.versions(pipeline.id)
                         if (s := view.runs.newest_session(pipeline.id, e, v.id))],
            "versions": [v.digest for v in view.pipelines.versions(pipeline.id)],
            "deleted": pipeline.deleted_at is not None,
            "holds": [(h.kind, h.environment) for h in view.policies.holds()],
            "policies": len(view.policies.history(UAT, pipeline.id)),
            "drifts": [d.table_name for d in view.runs.open_drifts()],
            "events": Counter(e.verb for e in view.log.entries() if e.verb not in resumed),
            "refs": {(t, r): life.plane.head(t, r) for t in ("flights.daily", "flights.late") for r in ("main", "qa", "uat")},
            "tags": {t: sorted(life.plane.tags(t)) for t in ("flights.daily", "flights.late")},
        }  # fmt: skip


def without_times(shown: dict[str, Any]) -> dict[str, Any]:
    live, admissions = shown["live"]
    return {**shown, "live": ([(p.id, p.state) for p in live], admissions)}


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_kill_9_after_each_write(name: str, tmp_path: Path, sqlite_template: Path, signing_key: SigningKey) -> None:
    setup, act = VERBS[name]
    base = tmp_path / "base"
    base.mkdir()
    shutil.copy(sqlite_template, base / "lifecycle.db")
    clock = FakeClock()
    store = Store.open(f"sqlite:///{base / 'lifecycle.db'}", signing_key, clock)
    given = setup(Life(store, base, clock))
    store.close()

    world = World(tmp_path / "world", base, signing_key, clock.now())
    world.lay_out()
    whole = world.enter()
    act(whole, given)
    expected = without_times(picture(whole))

    writes, was_killed = 0, True
    while was_killed:
        writes += 1
        world.lay_out()
        was_killed = killed_after(world, act, given, writes)
        if was_killed:
            again = world.enter()
            again.clock.advance(minutes=9)
            act(again, given)
            assert without_times(picture(again)) == expected, f"killed after write {writes}"
    world.close()
    assert writes > 2
