"""The whole life against a model (hypothesis): whatever people, runs and time do, no invariant breaks."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lifecycle.audit import verify
from lifecycle.audit.keys import SigningKey
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import Promotion, State, Verdict
from lifecycle.domain.version import Label, Version
from lifecycle.errors import LifecycleError
from lifecycle.store.store import Store
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.demote_version import demote_version
from lifecycle.usecases.grant_permit import Publish, grant_permit, record_receipt
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.parts.specs import is_intact
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.refresh_promotion import refresh_promotion
from lifecycle.usecases.reject_promotion import reject_promotion
from lifecycle.usecases.retire_version import retire_version
from lifecycle.usecases.rollback_release import plan_rollback, rollback_release
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.settle_drift import settle_drift
from lifecycle.usecases.start_run import finish_run
from lifecycle.usecases.tick import tick
from lifecycle.usecases.withdraw_promotion import withdraw_promotion
from tests.fakes.clock import FakeClock
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec

PEOPLE = st.sampled_from(["ada", "eve", "lea", "leo", "adam", "vic", "bot"])
DECIDERS = st.sampled_from(["lea", "leo", "adam", "lea", "leo", "ada"])
WHERE = st.sampled_from([QA, UAT, PRODUCTION])
STEPS, EXAMPLES = 80, 40
TRIES, PROMOTIONS = 3, 10


class WholeLife(RuleBasedStateMachine):
    """The model: who worked on what, written down here independently of the store."""

    url: str
    key: SigningKey
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="drls-life-"))
        self.clock = FakeClock()
        self.store = Store.open(self.fresh_url(), self.key, self.clock)
        self.life = Life(self.store, self.folder, self.clock)
        self.authors: dict[int, set[str]] = {}
        self.parents: dict[int, set[int]] = {}
        self.newest: int | None = None
        self.promoted: list[int] = []

    def fresh_url(self) -> str:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.save("ada", 1)

    def versions(self) -> list[Version]:
        with self.store.read() as view:
            pipeline = view.pipelines.named("flights")
            return [view.pipelines.version(one.id) for one in reversed(view.pipelines.versions(pipeline.id))]

    def requests(self, *states: State) -> list[Promotion]:
        with self.store.read() as view:
            return list(view.promotions.list(states=states))

    def attempt(self, act: Any, *given: Any, **options: Any) -> Any:
        """A refusal is an answer; anything else that is raised is a bug."""
        try:
            return act(*given, **options)
        except LifecycleError as error:
            assert error.status < 500, error
            assert "\n" not in error.message
            return None

    @rule(by=PEOPLE, rows=st.integers(1, 4))
    def save(self, by: str, rows: int) -> None:
        version = self.attempt(self.life.save, make_spec(rows=rows), by=by)
        if version is None:
            return
        own = {by, "ada"} if by == "bot" else {by}
        self.authors.setdefault(version.id, set()).update(own)
        if self.newest is not None and self.newest != version.id:
            self.parents.setdefault(version.id, set()).add(self.newest)
        with self.store.read() as view:
            found = view.pipelines.newest(version.pipeline_id)
            self.newest = found.id if found else None

    @rule(by=PEOPLE, to=WHERE, number=st.integers(1, 4))
    def ask(self, by: str, to: Environment, number: int) -> None:
        target = to
        versions = self.versions()
        version = versions[(number - 1) % len(versions)]
        active = self.life.active(target.before) if target.before else None
        if number % 2 and active is not None:
            version = next(one for one in versions if one.id == active.version_id)
        if target is QA:
            self.attempt(self.life.to_qa, version, by=by)
        else:
            self.attempt(self.life.ask, version, target, by=by)

    @rule(by=DECIDERS, which=st.integers(0, 3))
    def approve(self, by: str, which: int) -> None:
        if waiting := self.requests(State.REQUESTED):
            self.attempt(self.life.approve, waiting[which % len(waiting)], by)

    @rule(by=DECIDERS, which=st.integers(0, 3))
    def reject(self, by: str, which: int) -> None:
        if which == 0 and (waiting := self.requests(State.REQUESTED, State.APPROVED)):
            one = waiting[0]
            self.attempt(reject_promotion, self.life.ctx, self.life.as_(by), one.id, one.plan_digest, reason="no")

    @rule(by=PEOPLE, refresh=st.booleans())
    def withdraw_or_refresh(self, by: str, refresh: bool) -> None:
        if waiting := self.requests(State.REQUESTED, State.STALE):
            act = refresh_promotion if refresh else withdraw_promotion
            self.attempt(act, self.life.ctx, self.life.as_(by), waiting[0].id)

    @rule(environment=WHERE)
    def run(self, environment: Environment) -> None:
        active = self.life.active(environment)
        if active is None:
            return
        with self.store.read() as view:
            version = view.pipelines.version(active.version_id)
            if view.runs.live_admissions(version.pipeline_id, environment):
                return
        self.attempt(self.life.run, version, environment)

    @rule(environment=WHERE, publishes=st.booleans(), receipt=st.booleans(), over=st.booleans())
    def run_half(self, environment: Environment, publishes: bool, receipt: bool, over: bool) -> None:
        """A run that dies at some point of publishing, and perhaps never says that it is over."""
        active = self.life.active(environment)
        if active is None or (environment is PRODUCTION and not over):
            return
        with self.store.read() as view:
            version = view.pipelines.version(active.version_id)
            if view.runs.live_admissions(version.pipeline_id, environment):
                return
        run_id = self.attempt(self.life.begin, version, environment)
        if run_id is None:
            return
        asked: Publish = self.life.publishing(run_id, "flights.daily", environment)
        leave = self.attempt(grant_permit, self.life.ctx, DAGSTER, asked)
        if leave is not None and publishes:
            self.life.plane.publish(asked.table, asked.ref, asked.base, asked.candidate)
            if receipt:
                self.attempt(record_receipt, self.life.ctx, DAGSTER, leave.permit.id)
        if over:
            finish_run(self.life.ctx, DAGSTER, run_id, "flights")

    @rule(days=st.integers(0, 3), hours=st.integers(0, 23))
    def time_passes(self, days: int, hours: int) -> None:
        self.clock.advance(days=days, hours=hours)
        self.attempt(tick, self.life.ctx, SETUP)
        self.attempt(reconcile, self.life.ctx, SETUP)
        with self.store.read() as view:
            live = view.runs.live_admissions()
        for one in live:
            finish_run(self.life.ctx, DAGSTER, one.run_id, "flights")

    @rule(by=DECIDERS)
    def demote(self, by: str) -> None:
        number = self.life.active_number(UAT)
        self.attempt(demote_version, self.life.ctx, self.life.as_(by), "flights", number or 1, reason="wrong")

    @rule(by=DECIDERS, data=st.booleans())
    def rollback(self, by: str, data: bool) -> None:
        plan = self.attempt(plan_rollback, self.life.ctx, self.life.as_(by), "flights", data=data)
        consent = plan.plan.digest if plan is not None else None
        self.attempt(
            rollback_release,
            self.life.ctx,
            self.life.as_(by),
            "flights",
            reason="bad",
            data=data,
            consent=consent,
        )

    @rule(by=DECIDERS, sure=st.integers(0, 3))
    def retire(self, by: str, sure: int) -> None:
        number = self.life.active_number(PRODUCTION)
        if sure == 0:
            self.attempt(retire_version, self.life.ctx, self.life.as_(by), "flights", number or 1, reason="old")

    @rule(by=DECIDERS, to=st.sampled_from([UAT, PRODUCTION]), sure=st.integers(0, 3))
    def glass(self, by: str, to: Environment, sure: int) -> None:
        if sure == 0:
            number = self.versions()[-1].number
            self.attempt(break_glass, self.life.ctx, self.life.as_(by), "flights", number, to, reason="down")

    @rule(kind=st.sampled_from(HoldKind), environment=WHERE, by=DECIDERS)
    def hold(self, kind: HoldKind, environment: Environment, by: str) -> None:
        with self.store.read() as view:
            holds = view.policies.holds()
        if holds:
            self.attempt(lift_hold, self.life.ctx, self.life.as_(by), holds[0].id)
        else:
            self.attempt(set_hold, self.life.ctx, self.life.as_(by), kind, environment, None, reason="test")

    @rule(environment=WHERE, by=DECIDERS, solo=st.booleans(), two=st.booleans())
    def policy(self, environment: Environment, by: str, solo: bool, two: bool) -> None:
        policy = Policy(
            approvals="solo" if solo and two else "required",
            quorum="2 LeadDataEngineer" if two else "1 LeadDataEngineer",
        )
        self.attempt(set_policy, self.life.ctx, self.life.as_(by), environment, None, policy)

    @rule(ref=st.sampled_from(["main", "uat", "qa"]), sure=st.integers(0, 4))
    def foreign_write(self, ref: str, sure: int) -> None:
        if sure == 0:
            self.life.plane.commit("flights.daily", ref, "append")

    @rule(by=DECIDERS, how=st.sampled_from(["adopt", "revert"]))
    def drift(self, by: str, how: Any) -> None:
        with self.store.read() as view:
            drifts = view.runs.open_drifts()
        if drifts:
            self.attempt(settle_drift, self.life.ctx, self.life.as_(by), drifts[0].id, how, reason="test")

    @invariant()
    def at_most_one_version_is_active(self) -> None:
        type(self).steps += 1
        with self.store.read() as view:
            for environment in Environment:
                active = view.deployments.of(environment)
                assert len({one.pipeline_id for one in active}) == len(active)

    @invariant()
    def what_is_active_was_approved_or_is_labelled_unreviewed(self) -> None:
        with self.store.read() as view:
            for environment in (UAT, PRODUCTION):
                for one in view.deployments.of(environment):
                    version = view.pipelines.version(one.version_id)
                    assert is_intact(version)
                    assert one.deployed_digest == version.digest
                    assert one.label in (Label.APPROVED, Label.UNREVIEWED)
                    assert one.promotion_id is not None
                    promotion = view.promotions.get(one.promotion_id)
                    assert promotion.plan.spec_digest == version.digest
                    assert promotion.plan.digest == promotion.plan_digest
                    if one.label is Label.APPROVED and promotion.plan.kind == "promote":
                        names = {
                            view.people.get(decision.person).name
                            for decision in view.promotions.decisions(promotion.id)
                            if decision.verdict is Verdict.APPROVE and not decision.own_work
                        }
                        assert names & {"lea", "leo", "adam"}
                        assert not names & self.authors[version.id]

    @invariant()
    def nobody_approved_their_own_work(self) -> None:
        with self.store.read() as view:
            for promotion in view.promotions.list():
                for decision in view.promotions.decisions(promotion.id):
                    name = view.people.get(decision.person).name
                    assert name != "bot"
                    if decision.verdict is Verdict.APPROVE and not decision.own_work:
                        assert promotion.requested_by != decision.person

    @invariant()
    def no_permit_lives_across_a_switch(self) -> None:
        with self.store.read() as view:
            pipeline = view.pipelines.find("flights")
            for permit in view.runs.live_permits():
                assert pipeline is not None
                history = view.deployments.history(pipeline.id, permit.environment)
                assert all(one.started_at < permit.granted_at for one in history)

    @invariant()
    def the_audit_log_is_whole(self) -> None:
        with self.store.read() as view:
            head = view.log.head()
            newest = view.log.search(limit=1)
            assert not newest or newest[0].hash == head.hash

    def teardown(self) -> None:
        with self.store.read() as view:
            verdict = verify(view.log.entries(), view.log.head(), {self.key.key_id: self.key.public})
        assert verdict.whole
        type(self).promoted_total = getattr(type(self), "promoted_total", 0) + len(self.requests(State.DONE))
        self.store.close()
        shutil.rmtree(self.folder)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_life(database: str, request: pytest.FixtureRequest, signing_key: SigningKey) -> None:
    def fresh_sqlite(self: WholeLife) -> str:
        shutil.copy(request.getfixturevalue("sqlite_template"), self.folder / "lifecycle.db")
        return f"sqlite:///{self.folder / 'lifecycle.db'}"

    def fresh_postgres(self: WholeLife) -> str:
        server = request.getfixturevalue("postgres")
        return server.fresh_database(request.getfixturevalue("postgres_template"))

    fresh = fresh_sqlite if database == "sqlite" else fresh_postgres
    machine = type("Machine", (WholeLife,), {"fresh_url": fresh, "key": signing_key, "steps": 0})
    for _ in range(TRIES):
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        if machine.promoted_total >= PROMOTIONS:  # pyright: ignore[reportAttributeAccessIssue]
            break
    assert machine.steps >= 2000  # pyright: ignore[reportAttributeAccessIssue]
    # What was done must be more than being refused. By chance it is not, now and then.
    assert machine.promoted_total >= PROMOTIONS  # pyright: ignore[reportAttributeAccessIssue]
