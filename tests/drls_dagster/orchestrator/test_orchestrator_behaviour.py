"""What every orchestrator does: one suite for the fake that the lifecycle's tests use and for Dagster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from drls_dagster.asset_keys import table_key
from drls_dagster.dagster_private.automation import InstigatorStatus
from drls_dagster.lifecycle_client.adapters import Adapters
from drls_dagster.lifecycle_client.opening import make_store
from drls_dagster.orchestrator import DagsterOrchestrator
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.orchestrator.stopped import WITHOUT
from drls_dagster.settings import Settings, load_settings
from drls_dagster.tags import REASON_TAG
from lifecycle.domain.environment import Environment
from lifecycle.domain.run import Outcome
from lifecycle.domain.version import Label
from lifecycle.errors import Refused
from lifecycle.ports import Orchestrator, ReleaseFacts, RunState
from tests.drls_dagster.orchestrator.test_stopped import note
from tests.drls_dagster.orchestrator.web import running_web
from tests.fakes.orchestrator import FakeOrchestrator
from tests.waiting import wait_until

QA, PRODUCTION = Environment.QA, Environment.PRODUCTION
RELEASE = ReleaseFacts(version=4, digest="d" * 64, label=Label.UNREVIEWED, promotion=7)
ENDS = {
    Outcome.SUCCEEDED: dg.DagsterEventType.RUN_SUCCESS,
    Outcome.FAILED: dg.DagsterEventType.RUN_FAILURE,
    Outcome.CANCELLED: dg.DagsterEventType.RUN_CANCELED,
}


class Place(ABC):
    """An orchestrator, and what happens in it without the lifecycle."""

    orchestrator: Orchestrator

    @abstractmethod
    def begin(self) -> str:
        """A run that goes on; its id."""

    @abstractmethod
    def end(self, run_id: str, outcome: Outcome) -> None:
        """The run is over."""

    @abstractmethod
    def reported(self, table: str) -> list[tuple[int, ReleaseFacts]]:
        """What people see of promotions at a table in production, oldest first: snapshot and release."""

    @abstractmethod
    def stop(self, sensor: str) -> None:
        """Somebody stops a sensor."""


class Fake(Place):
    def __init__(self) -> None:
        self.orchestrator = self._fake = FakeOrchestrator()
        self._fake.refusing["nobody"] = "a run of nobody in QA cannot be launched: there is no such pipeline"

    def begin(self) -> str:
        run_id = f"run-{len(self._fake.states)}"
        self._fake.states[run_id] = RunState.ACTIVE
        return run_id

    def end(self, run_id: str, outcome: Outcome) -> None:
        self._fake.states[run_id], self._fake.outcomes[run_id] = RunState.ENDED, outcome

    def reported(self, table: str) -> list[tuple[int, ReleaseFacts]]:
        return [(tables[table], release) for _, tables, release in self._fake.releases if table in tables]

    def stop(self, sensor: str) -> None:
        self._fake.stopped_parts.append(f"The sensor {sensor} is stopped")

    def launched(self) -> list[str]:
        return [pipeline for _, pipeline in self._fake.launched]

    def loads(self) -> int:
        return len(self._fake.changed)


@dg.op
def nothing() -> None:
    pass


@dg.job
def job() -> None:
    nothing()


class Dagster(Place):
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._instance = instance_of(settings)
        self.orchestrator = DagsterOrchestrator(settings)

    def begin(self) -> str:
        return self._instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED).run_id

    def end(self, run_id: str, outcome: Outcome) -> None:
        self._instance.report_dagster_event(dg.DagsterEvent(ENDS[outcome].value, job.name), run_id)

    def reported(self, table: str) -> list[tuple[int, ReleaseFacts]]:
        key = table_key("production", self._settings.catalog.name, table)
        records = self._instance.fetch_materializations(key, limit=100, ascending=True).records
        assert {record.run_id for record in records} <= {""}, "no run is said to have written it"
        return [_told(record.asset_materialization) for record in records]

    def stop(self, sensor: str) -> None:
        note(self._instance, sensor, InstigatorStatus.STOPPED)


class DagsterWithWeb(Dagster):
    """Where `drls up` runs."""

    def __init__(self, settings: Settings, loads: Path) -> None:
        super().__init__(settings)
        self._loads = loads

    def launched(self) -> list[str]:
        runs = self._instance.get_runs(dg.RunsFilter(tags={REASON_TAG: "because"}), ascending=True)
        # No daemon takes them out of the queue here.
        assert {self.orchestrator.run_state(run.run_id) for run in runs} == {RunState.ACTIVE}
        assert {run.tags.get("dagster/partition") for run in runs if run.job_name == "parted"} <= {"b"}, "the last one"
        return [run.job_name for run in runs]

    def loads(self) -> int:
        return len(self._loads.read_text())


def _told(found: dg.AssetMaterialization | None) -> tuple[int, ReleaseFacts]:
    assert found is not None
    values: dict[str, Any] = {name: value.value for name, value in found.metadata.items()}
    named = {name: values[f"drls/{name}"] for name in ("version", "digest", "label")}
    return int(values["snapshot_id"]), ReleaseFacts(**named, promotion=values.get("drls/promotion"))


@pytest.fixture(params=["fake", "dagster"])
def place(request: pytest.FixtureRequest, drls_home: Path) -> Place:
    return Fake() if request.param == "fake" else Dagster(load_settings(drls_home))


@pytest.fixture(params=["fake", pytest.param("dagster", marks=pytest.mark.slow)])
def running(request: pytest.FixtureRequest, drls_home: Path, tmp_path: Path) -> Iterator[Fake | DagsterWithWeb]:
    if request.param == "fake":
        yield Fake()
        return
    settings = load_settings(drls_home)
    make_store(settings, Adapters(), lambda _: None)
    place = DagsterWithWeb(settings, tmp_path / "loads")
    with running_web(settings, tmp_path, tmp_path / "loads"):
        yield place


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_run_is_active_until_it_has_ended_and_only_then_has_an_outcome(place: Place, outcome: Outcome) -> None:
    run_id, other = place.begin(), place.begin()
    assert (place.orchestrator.run_state(run_id), place.orchestrator.run_outcome(run_id)) == (RunState.ACTIVE, None)
    place.end(run_id, outcome)
    assert (place.orchestrator.run_state(run_id), place.orchestrator.run_outcome(run_id)) == (RunState.ENDED, outcome)
    assert (place.orchestrator.run_state(other), place.orchestrator.run_outcome(other)) == (RunState.ACTIVE, None)


def test_a_run_that_it_has_never_heard_of_is_unknown_and_has_no_outcome(place: Place) -> None:
    place.begin()
    assert place.orchestrator.run_state("no such run") is RunState.UNKNOWN
    assert place.orchestrator.run_outcome("no such run") is None


def test_l14_each_table_of_a_promotion_is_reported_with_its_snapshot_and_release(place: Place) -> None:
    big = 2**62 + 1
    place.orchestrator.released(PRODUCTION, "flights", {"flights.daily": big, "flights.late": 2}, RELEASE)
    assert place.reported("flights.daily") == [(big, RELEASE)]
    assert place.reported("flights.late") == [(2, RELEASE)]
    assert place.reported("flights.other") == []


def test_l14_the_next_promotion_is_reported_beside_the_one_before(place: Place) -> None:
    later = RELEASE.model_copy(update={"version": 5, "label": Label.APPROVED, "promotion": None})
    place.orchestrator.released(PRODUCTION, "flights", {"flights.daily": 1}, RELEASE)
    place.orchestrator.released(PRODUCTION, "flights", {"flights.daily": 2}, later)
    assert place.reported("flights.daily") == [(1, RELEASE), (2, later)]


def test_a_change_of_deployments_that_nobody_hears_raises_nothing(place: Place) -> None:
    for environment in Environment:
        place.orchestrator.deployments_changed(environment)


def test_it_says_which_parts_are_stopped_and_nothing_while_all_run(place: Place) -> None:
    assert list(place.orchestrator.stopped()) == []
    names = sorted(WITHOUT)[:2]
    for name in names:
        place.stop(name)
    said = place.orchestrator.stopped()
    assert len(said) == len(names)
    assert all(f"The sensor {name} is stopped" in line for name, line in zip(names, said, strict=True))


def test_it_launches_what_it_knows_refuses_what_it_does_not_and_loads_again(running: Fake | DagsterWithWeb) -> None:
    for pipeline in ("flights", "parted"):
        running.orchestrator.launch(QA, pipeline, "because")
    assert running.launched() == ["flights", "parted"]
    with pytest.raises(Refused, match="nobody in QA cannot be launched"):
        running.orchestrator.launch(QA, "nobody", "because")
    assert running.launched() == ["flights", "parted"]

    before = running.loads()
    running.orchestrator.deployments_changed(QA)
    wait_until(lambda: running.loads() > before, 120)
