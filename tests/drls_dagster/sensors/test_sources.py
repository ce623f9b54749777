"""The sources sensor: new data starts a run, once, and a run that may not be is not asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
import pytest

from drls_dagster.dagster_private.tags import RUN_KEY_TAG
from drls_dagster.sensors.sources import sources_sensor
from drls_dagster.steps.sources import kinds
from drls_dagster.steps.sources.kind import Look, Mark
from drls_dagster.steps.sources.rate import Rate
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.version import Version
from lifecycle.errors import StoreError
from lifecycle.spec import PipelineSpec, RateSource
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.context import Context
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.set_policy import set_policy
from tests.lifecycle.life import DAGSTER, PRODUCTION, UAT, Life, make_spec

RAW = "flights_raw.flights"


@dg.op
def nothing() -> None:
    pass


@dg.job
def flights() -> None:
    nothing()


@dg.job
def trips() -> None:
    nothing()


class Ticks:
    """Evaluates the sensor as the daemon does: with the cursor of the tick before."""

    def __init__(
        self,
        life: Life,
        instance: dg.DagsterInstance,
        environment: Environment = Environment.PRODUCTION,
        spec: PipelineSpec | None = None,
    ) -> None:
        self.life = life
        self.instance = instance
        self.cursor: str | None = None
        self.down = False
        self.spec = spec or make_spec(automation="on_new_data")
        found = sources_sensor(
            environment, [self.spec, make_spec("trips", automation="on_new_data")], self.ctx, lambda: None
        )
        assert found is not None
        self.sensor = found

    def ctx(self) -> Context:
        if self.down:
            raise StoreError("the store was busy")
        return self.life.ctx

    def __call__(self) -> list[dg.RunRequest]:
        self.data = self.sensor.evaluate_tick(dg.build_sensor_context(self.instance, cursor=self.cursor))
        if self.data.cursor is not None:
            self.cursor = self.data.cursor
        return list(self.data.run_requests or ())

    @property
    def skipped(self) -> str:
        return self.data.skip_message or ""

    def ran(self, request: dg.RunRequest, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED) -> str:
        """What the daemon makes of a request."""
        return self.instance.create_run_for_job(flights, tags=_tags(request), status=status).run_id


def _tags(request: dg.RunRequest) -> dict[str, str]:
    assert request.run_key is not None
    return {**request.tags, RUN_KEY_TAG: request.run_key}


@pytest.fixture
def version(life: Life) -> Version:
    """Active in production; the plane has its source table."""
    found = life.save(make_spec(automation="on_new_data"))
    life.to_production(found)
    return found


@pytest.fixture
def ticks(life: Life, instance: dg.DagsterInstance, version: Version) -> Ticks:
    return Ticks(life, instance)


def test_what_was_there_is_no_news_and_a_new_snapshot_starts_one_run(ticks: Ticks, life: Life) -> None:
    assert ticks() == []
    life.plane.commit(RAW)
    (request,) = ticks()
    assert request.job_name == "flights"
    ticks.ran(request)
    assert ticks() == []


class Counted(Rate):
    """A source that can be watched: `mark` is where it is now, None while it does not answer."""

    def __init__(self) -> None:
        self.mark: int | None = 1

    def watched(self, source: RateSource) -> str:
        return "counted"

    def marks(self, names: Iterable[str], look: Look) -> Mapping[str, Mark]:
        found: dict[str, Mark] = {}
        for name in names:
            with look.item(name):
                if self.mark is None:
                    raise ConnectionError("the counter does not answer")
                found[name] = self.mark
        return found


def test_a_source_of_any_kind_that_can_be_watched_starts_a_run_when_its_mark_changes(
    life: Life, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted()
    monkeypatch.setitem(kinds._READ, "rate", counted)
    said = make_spec(automation="on_new_data").model_dump(by_alias=True, mode="json")
    said["nodes"][0]["source"] = {"kind": "rate"}
    spec = PipelineSpec.model_validate(said)
    life.to_production(life.save(spec))
    ticks = Ticks(life, instance, spec=spec)
    assert ticks() == []
    counted.mark = None
    assert ticks() == []
    assert "source counted: looking for new data failed: the counter does not answer" in ticks.skipped
    counted.mark = 2
    (request,) = ticks()
    ticks.ran(request)
    assert ticks() == []


def test_a_compaction_starts_nothing(ticks: Ticks, life: Life) -> None:
    ticks()
    life.plane.commit(RAW, operation="replace")
    assert ticks() == []
    life.plane.commit(RAW)
    assert len(ticks()) == 1


def test_a_run_that_may_not_be_is_not_asked_for_and_keeps_its_key(ticks: Ticks, life: Life) -> None:
    ticks()
    life.plane.commit(RAW)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, PRODUCTION, "flights", reason="looking")
    before = ticks.cursor
    assert ticks() == []
    assert "flights is stopped in production (looking)" in ticks.skipped
    assert json.loads(ticks.cursor or "") == json.loads(before or "")
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    assert len(ticks()) == 1


def test_a_run_that_was_refused_after_all_is_asked_for_again_under_a_new_key(ticks: Ticks, life: Life) -> None:
    ticks()
    life.plane.commit(RAW)
    (request,) = ticks()
    ticks.ran(request, dg.DagsterRunStatus.FAILURE)
    (again,) = ticks()
    assert again.run_key != request.run_key
    ticks.ran(again, dg.DagsterRunStatus.STARTED)
    assert ticks() == []


def test_a_run_that_is_refused_every_time_is_asked_for_three_times(ticks: Ticks, life: Life) -> None:
    ticks()
    life.plane.commit(RAW)
    for _ in range(3):
        (request,) = ticks()
        ticks.ran(request, dg.DagsterRunStatus.FAILURE)
    assert ticks() == []
    life.plane.commit(RAW)
    assert len(ticks()) == 1


def test_a_run_that_failed_after_it_was_admitted_is_not_started_again(
    ticks: Ticks, life: Life, version: Version
) -> None:
    ticks()
    life.plane.commit(RAW)
    (request,) = ticks()
    run_id = ticks.ran(request, dg.DagsterRunStatus.FAILURE)
    admit_run(life.ctx, DAGSTER, run_id, name="flights", digest=version.digest, environment=PRODUCTION)
    assert ticks() == []
    assert "key" not in json.loads(ticks.cursor or "")["flights"]


def test_a_run_that_the_daemon_lost_is_asked_for_under_the_same_key(ticks: Ticks, life: Life) -> None:
    ticks()
    life.plane.commit(RAW)
    (request,) = ticks()
    (again,) = ticks()
    assert again.run_key == request.run_key


def test_a_store_that_is_down_is_a_line_and_the_news_is_not_lost(ticks: Ticks, life: Life) -> None:
    ticks()
    life.plane.commit(RAW)
    before, ticks.down = ticks.cursor, True
    assert ticks() == []
    assert (ticks.skipped, ticks.cursor) == ("the store was busy; trying again", before)
    ticks.down = False
    assert len(ticks()) == 1


def test_l4_outside_of_production_data_starts_runs_only_where_a_policy_says_so(
    life: Life, instance: dg.DagsterInstance, version: Version
) -> None:
    ticks = Ticks(life, instance, Environment.UAT)
    ticks()
    life.plane.commit(RAW)
    assert ticks() == []
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(schedules=True))
    ticks()
    life.plane.commit(RAW)
    assert len(ticks()) == 1


def test_the_sensor_names_its_jobs_in_a_location(ticks: Ticks) -> None:
    repository = dg.Definitions(jobs=[flights, trips], sensors=[ticks.sensor]).get_repository_def()
    assert {one.job_name for one in repository.get_sensor_def("production_sources").targets} == {"flights", "trips"}


def test_tables_that_a_pipeline_writes_itself_do_not_start_it(life: Life) -> None:
    values: dict[str, Any] = {"tables": ("flights_raw.flights",), "automation": "on_new_data"}
    assert sources_sensor(Environment.PRODUCTION, [make_spec(**values)], lambda: life.ctx, lambda: None) is None
