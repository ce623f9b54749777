"""Publishing is one operation of the platform: permit, compare-and-set, receipt and record belong together (L11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.prepare import OWNER
from drls_dagster.ledger import Ledger, RunTakenForDead, open_ledger
from drls_dagster.runs.catalog import RunCatalog
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.memory import Executing, RunMemory
from drls_dagster.runs.refusal import GateRefused
from drls_dagster.runs.service import RunService
from drls_dagster.runs.table_words import Candidate
from lifecycle.domain.environment import Environment
from lifecycle.domain.run import CheckResult, Permit, Receipt, Work
from lifecycle.domain.version import Version
from lifecycle.errors import Conflict, Forbidden
from lifecycle.spec import PipelineSpec
from lifecycle.usecases.grant_permit import grant_permit
from lifecycle.usecases.parts.specs import spec_of
from tests.fakes.lake import LakePlane
from tests.fakes.lake_run import run_on_tables
from tests.fakes.own_run import client_of
from tests.lifecycle.life import DAGSTER, DEVELOPMENT, PRODUCTION, QA, UAT, Life, make_spec

DAILY = "flights.daily"


class Publisher:
    """A run of flights: it writes a snapshot to its branch, and asks for its publish."""

    def __init__(self, life: Life, environment: Environment, spec: PipelineSpec, run_id: str) -> None:
        self.life, self.environment, self.run_id = life, environment, run_id
        self.lake = cast(LakePlane, life.plane)
        service = RunService(self.lake.settings, lambda: life.ctx)
        self.client: RunClient = client_of(self.lake.settings, spec, environment, run_id, service=service)
        self.executing = Executing(self.client, self.lake.settings)
        self.memory = RunMemory(self.client, self.executing)
        self.catalog = RunCatalog("lake", self.client)

    @classmethod
    def of(cls, life: Life, version: Version, environment: Environment) -> Publisher:
        """An admitted run that has begun."""
        return cls(life, environment, spec_of(version), life.begin(version, environment))

    @property
    def ledger(self) -> Ledger:
        return open_ledger(self.lake.settings)

    @property
    def real(self) -> str:
        """The table's name in the catalog."""
        return "flights__development.daily" if self.environment is DEVELOPMENT else DAILY

    @property
    def ref(self) -> str:
        return "main" if self.environment is DEVELOPMENT else self.environment.ref

    def head(self) -> int | None:
        return self.lake.head(self.real, self.ref)

    def written(self, base: int | None = None, **changes: Any) -> Candidate:
        """What a sink has written on top of `base`, default: of what the environment reads."""
        base = base or self.head() or self.lake.head(self.real, "main")
        snapshot = self.lake.write(self.real, base)
        branch = f"drls_run_{self.run_id[:8]}_{snapshot:08x}"
        self.memory.open_branch(self.real, branch, "session", "engine")
        refs.create_branch(self.catalog, self.catalog.load_table(self.real), branch, snapshot)
        uuid = str(self.catalog.load_table(self.real).metadata.table_uuid)
        check = CheckResult(node="checks0", check="some", passed=True)
        given: dict[str, Any] = {
            "step": "sink0", "partition": "", "table": DAILY, "branch": branch, "base": self.head(),
            "snapshot": snapshot, "rebuilt_as": None,
            "work": Work(checks=(check,), rows=1, positions={"some-uuid": 7}, table_uuid=uuid),
        }  # fmt: skip
        return Candidate(**{**given, **changes})

    def receipts(self) -> tuple[Receipt, ...]:
        with self.life.store.read() as view:
            return view.runs.receipts_on(DAILY, self.environment)

    def live_permits(self) -> tuple[Permit, ...]:
        with self.life.store.read() as view:
            return tuple(view.runs.live_permits(view.pipelines.named("flights").id, self.environment))

    def branches(self) -> set[str]:
        found = self.lake.lake_table(self.real).metadata.refs
        return {name for name in found if name.startswith("drls_run_")}


@pytest.fixture
def run(life: Life) -> Publisher:
    """In QA, on a table that production has."""
    lake = cast(LakePlane, life.plane)
    lake.make(DAILY, **{OWNER: "flights"})
    lake.commit(DAILY)
    version = life.save()
    life.to_qa(version)
    return Publisher.of(life, version, QA)


def test_a_publish_leaves_receipt_and_record_and_no_branch(run: Publisher) -> None:
    candidate = run.written()
    state = run.memory.publish(candidate)
    table = run.catalog.table_of(("flights", "daily"), state)
    assert refs.head(table, "qa") == candidate.snapshot == run.head()
    assert table.metadata == run.lake.lake_table(DAILY).metadata
    (receipt,) = run.receipts()
    assert (receipt.snapshot, receipt.step) == (candidate.snapshot, "sink0")
    assert receipt.details.model_copy(update={"seal": None}) == candidate.work
    assert receipt.details.seal is not None, "what was published is what was written (L17)"
    assert not run.live_permits()
    (record,) = run.ledger.publishes(str(table.metadata.table_uuid))
    assert (record.snapshot_id, record.run_key, record.ref) == (candidate.snapshot, run.run_id, "qa")
    assert record.positions == {"some-uuid": 7}
    assert not run.branches()
    assert not run.ledger.branches(DAILY)


def test_a_publish_whose_answer_was_lost_is_answered_again(run: Publisher) -> None:
    candidate = run.written()
    first = run.memory.publish(candidate)
    assert run.memory.publish(candidate) == first
    assert len(run.receipts()) == 1
    assert len(run.ledger.publishes(candidate.work.table_uuid or "")) == 1


@pytest.mark.parametrize("moved", [False, True], ids=["before the compare-and-set", "behind it"])
def test_a_publish_that_the_service_died_in_is_finished_when_it_is_asked_again(run: Publisher, moved: bool) -> None:
    candidate = run.written()
    asked = run.life.publishing(run.run_id, DAILY, QA).model_copy(
        update={"candidate": candidate.snapshot, "base": candidate.base, "work": candidate.work}
    )
    permit = grant_permit(run.life.ctx, DAGSTER, asked).permit
    assert permit is not None
    if moved:
        table = run.lake.lake_table(DAILY)
        refs.publish(run.lake.catalog, table, "qa", candidate.base, candidate.snapshot, candidate.branch)
    run.memory.publish(candidate)
    (receipt,) = run.receipts()
    assert (receipt.permit_id, receipt.snapshot) == (permit.id, candidate.snapshot)
    assert run.head() == candidate.snapshot
    assert not run.branches()
    assert len(run.ledger.publishes(candidate.work.table_uuid or "")) == 1


def test_d3_a_ref_that_moved_is_said_and_the_permit_returned(run: Publisher) -> None:
    candidate = run.written()
    foreign = run.lake.commit(DAILY, "qa")
    with pytest.raises(refs.RefMoved, match=r"'qa' of flights\.daily moved in the meantime"):
        run.memory.publish(candidate)
    assert run.head() == foreign
    assert not run.live_permits()
    assert not run.receipts()


def test_a_table_made_anew_is_not_published_to(run: Publisher) -> None:
    candidate = run.written()
    other = candidate.work.model_copy(update={"table_uuid": "00000000-0000-0000-0000-000000000000"})
    with pytest.raises(refs.RefMoved, match="it is another table"):
        run.memory.publish(candidate.model_copy(update={"work": other}))
    assert not run.live_permits()


FORBIDDEN: dict[str, Callable[[Publisher, Candidate], Candidate]] = {
    "a branch of nobody": lambda _, one: one.model_copy(update={"branch": "drls_run_test-run_other"}),
    "main as the branch": lambda _, one: one.model_copy(update={"branch": "main"}),
    "an older snapshot": lambda run, one: one.model_copy(update={"snapshot": run.lake.head(DAILY, "main")}),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_run_publishes_only_what_it_has_written_on_top(run: Publisher, what: str) -> None:
    run.memory.publish(run.written(step="earlier"))
    before = run.head()
    wrong = FORBIDDEN[what](run, run.written())
    with pytest.raises(Forbidden):
        run.memory.publish(wrong)
    assert run.head() == before
    assert not run.live_permits()
    assert len(run.receipts()) == 1


def test_a_run_publishes_no_table_of_another_pipeline(run: Publisher) -> None:
    candidate = run.written()
    with run.lake.lake_table(DAILY).transaction() as change:
        change.set_properties({OWNER: "other"})
    with pytest.raises(Forbidden, match="which pipeline 'other' writes"):
        run.memory.publish(candidate)
    with pytest.raises(GateRefused, match=r"does not write flights\.else"):
        run.memory.publish(candidate.model_copy(update={"table": "flights.else"}))


def test_a_failed_check_is_not_published(run: Publisher) -> None:
    before = run.head()
    failed = Work(checks=(CheckResult(node="checks0", check="some", passed=False),))
    with pytest.raises(GateRefused, match=r"failed: checks0\.some"):
        run.memory.publish(run.written(work=failed))
    assert run.head() == before


def test_a_second_publish_of_a_step_says_that_the_first_is_gone(run: Publisher) -> None:
    run.memory.publish(run.written())
    with pytest.raises(GateRefused, match=r"sink 'sink0' has already published flights\.daily in this run"):
        run.memory.publish(run.written())


def test_a_run_waits_for_another_permit_on_the_table(run: Publisher) -> None:
    candidate = run.written()
    other = run.life.publishing(run.run_id, DAILY, QA)
    assert grant_permit(run.life.ctx, DAGSTER, other).permit is not None
    with pytest.raises(Conflict, match="wait until it is used or expires"):
        run.memory.publish(candidate)


def test_d13_a_run_that_was_declared_dead_publishes_nothing(run: Publisher) -> None:
    candidate = run.written()
    run.ledger.declare_dead(run.run_id)
    with pytest.raises(RunTakenForDead):
        run.memory.publish(candidate)
    assert run.head() == candidate.base


def test_a_draft_publishes_without_a_permit_and_in_development_alone(life: Life) -> None:
    lake = cast(LakePlane, life.plane)
    lake.make("flights__development.daily", **{OWNER: "flights"})
    life.save()
    draft = Publisher(life, DEVELOPMENT, make_spec(rows=99), "a-draft-that-nobody-saved")
    candidate = draft.written()
    draft.memory.publish(candidate)
    assert draft.head() == candidate.snapshot
    assert not draft.receipts()
    assert len(draft.ledger.publishes(candidate.work.table_uuid or "")) == 1
    for environment in (QA, UAT, PRODUCTION):
        elsewhere = Publisher(life, environment, make_spec(rows=99), "a-draft-elsewhere")
        with pytest.raises(GateRefused, match="was not admitted"):
            elsewhere.memory.publish(candidate)


def test_a_whole_run_reads_writes_and_publishes_through_the_service(life: Life) -> None:
    lake = cast(LakePlane, life.plane)
    raw = lake.commit("flights_raw.flights")
    version = life.save()
    life.to_qa(version)
    published = run_on_tables(life, version, QA)
    assert {lake.head(name, "qa") for name in published} == set(published.values())
    with life.store.read() as view:
        receipts = [one for name in published for one in view.runs.receipts_on(name, QA)]
    assert sorted(one.snapshot for one in receipts) == sorted(published.values())
    assert {one.snapshot for receipt in receipts for one in receipt.details.inputs} == {raw}
