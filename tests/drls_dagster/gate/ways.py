"""The ways into Dagster that go through its web server and daemon; each gives the runs that it made."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from drls_dagster.dagster_private.tried import (
    AssetDaemon,
    JobSubsetSelector,
    TickStatus,
    execute_backfill_iteration,
    execute_dagster_graphql,
    execute_sensor_iteration,
    launch_scheduled_runs,
)
from drls_dagster.dagster_private.workspace import WorkspaceProcessContext

LOCATION = "production"
LOG = logging.getLogger("ways")
LAUNCH = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_PIPELINE = LAUNCH.replace("launchRun(", "launchPipelineExecution(")
_MANY = """mutation($p: [ExecutionParams!]!) { launchMultipleRuns(executionParamsList: $p) {
  __typename ... on LaunchMultipleRunsResult { launchMultipleRunsResult { __typename
    ... on LaunchRunSuccess { run { runId } } } } ... on PythonError { message } } }"""
_AGAIN = """mutation($p: ReexecutionParams) { launchRunReexecution(reexecutionParams: $p) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
BACKFILL = """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""


class Ways:
    """A workspace with the hand-made location, as the web server and the daemon have one."""

    def __init__(self, instance: dg.DagsterInstance, process: WorkspaceProcessContext) -> None:
        self.instance = instance
        self.process = process
        repository = process.create_request_context().get_code_location(LOCATION).get_repository("__repository__")
        for schedule in repository.get_schedules():
            # In production they run by themselves; here one at a time.
            instance.stop_schedule(schedule.get_remote_origin().get_id(), schedule.selector_id, schedule)

    def ask(self, query: str, params: Any) -> Any:
        context = self.process.create_request_context()
        result = execute_dagster_graphql(context, query, {"p": params})
        assert not result.errors, result.errors
        (answer,) = result.data.values()
        assert answer["__typename"] != "PythonError", answer
        return answer

    def selector(self, job: str, **more: Any) -> dict[str, Any]:
        return {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "pipelineName": job, **more}

    def params(self, job: str, partition: str | None = "north", **more: Any) -> dict[str, Any]:
        tags = dict(more.pop("tags", {}))
        if partition:
            tags["dagster/partition"] = partition
        return {
            "selector": self.selector(job, **more.pop("selector", {})),
            "runConfigData": more.pop("config", {}),
            "mode": "default",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
            **more,
        }

    def launch_pipeline(self, name: str, _key: dg.AssetKey) -> list[str]:
        return [self.ask(_PIPELINE, self.params(name))["run"]["runId"]]

    def launch_run(self, name: str, _key: dg.AssetKey) -> list[str]:
        return [self.ask(LAUNCH, self.params(name))["run"]["runId"]]

    def launch_asset_job(self, _name: str, key: dg.AssetKey) -> list[str]:
        chosen = {"assetSelection": [{"path": list(key.path)}]}
        return [self.ask(LAUNCH, self.params("__ASSET_JOB", selector=chosen))["run"]["runId"]]

    def launch_part(self, name: str, key: dg.AssetKey) -> list[str]:
        return [
            self.ask(LAUNCH, self.params(name, selector={"assetSelection": [{"path": list(key.path)}]}))["run"]["runId"]
        ]

    def launch_many(self, name: str, _key: dg.AssetKey) -> list[str]:
        answer = self.ask(_MANY, [self.params(name), self.params(name, partition="south")])
        return [one["run"]["runId"] for one in answer["launchMultipleRunsResult"]]

    def launch_with_tags(self, name: str, _key: dg.AssetKey) -> list[str]:
        """Tags that say that this is something else, and approved."""
        tags = {
            "drls/pipeline": "approved",
            "drls/version": "sha256:" + "0" * 64,
            "drls/environment": "development",
            "drls/lane": "free",
            "drls/refused": "true",
            "dagster/priority": "100",
        }
        return [self.ask(LAUNCH, self.params(name, tags=tags))["run"]["runId"]]

    def launch_with_config(self, name: str, _key: dg.AssetKey) -> list[str]:
        config = {"loggers": {"console": {"config": {"log_level": "DEBUG"}}}}
        return [self.ask(LAUNCH, self.params(name, config=config))["run"]["runId"]]

    def backfill(self, name: str, key: dg.AssetKey) -> list[str]:
        return self._backfill({"assetSelection": [{"path": list(key.path)}], "partitionNames": ["north"]})

    def _backfill(self, params: Mapping[str, Any]) -> list[str]:
        found = self.ask(BACKFILL, {"title": "t", **params})["backfillId"]
        self._carry_on_backfills()
        return [run.run_id for run in self.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": found}))]

    def _carry_on_backfills(self) -> None:
        for _ in range(3):
            for error in execute_backfill_iteration(self.process, LOG):
                assert error is None, error

    def schedule(self, name: str, _key: dg.AssetKey) -> list[str]:
        request = self.process.create_request_context()
        repository = request.get_code_location(LOCATION).get_repository("__repository__")
        schedule = repository.get_schedule(f"{name}_schedule")
        before = self._ids(name)
        now = datetime.now(UTC)
        self.instance.start_schedule(schedule)
        try:
            for error in launch_scheduled_runs(self.process, LOG, now + timedelta(minutes=1, seconds=5), {}) or ():
                assert error is None, error
        finally:
            self.instance.stop_schedule(schedule.get_remote_origin().get_id(), schedule.selector_id, schedule)
        return self._new(name, before)

    def asset_sensor(self, name: str, key: dg.AssetKey) -> list[str]:
        # Anyone who reaches the web server can report this.
        return self._sensor(f"{name}_sensor", key, dg.AssetMaterialization(key))

    def _sensor(
        self,
        sensor_name: str,
        key: dg.AssetKey,
        event: dg.AssetMaterialization | None = None,
    ) -> list[str]:
        request = self.process.create_request_context()
        repository = request.get_code_location(LOCATION).get_repository("__repository__")
        sensor = repository.get_sensor(sensor_name)
        before = {run.run_id for run in self.instance.get_runs()}
        self.instance.start_sensor(sensor)
        try:
            if event is not None:
                self.instance.report_runless_asset_event(event)
            for error in execute_sensor_iteration(self.process, LOG, None, None) or ():
                assert error is None, error
        finally:
            self.instance.stop_sensor(sensor.get_remote_origin().get_id(), sensor.selector_id, sensor)
        return sorted({run.run_id for run in self.instance.get_runs()} - before)

    def automation(self, name: str, _key: dg.AssetKey) -> list[str]:
        """As the daemon does that evaluates declarative automation."""
        request = self.process.create_request_context()
        sensor = request.get_code_location(LOCATION).get_repository("__repository__").get_sensor(f"{name}_automation")
        before = {run.run_id for run in self.instance.get_runs()}
        self.instance.start_sensor(sensor)
        try:
            daemon = AssetDaemon(settings={}, pre_sensor_interval_seconds=0)
            daemon._run_iteration_impl(self.process, None, {}, {})
        finally:
            self.instance.stop_sensor(sensor.get_remote_origin().get_id(), sensor.selector_id, sensor)
        (tick,) = self.instance.get_ticks(sensor.get_remote_origin().get_id(), sensor.selector_id, limit=1)
        assert tick.status is TickStatus.SUCCESS, tick.error
        return sorted({run.run_id for run in self.instance.get_runs()} - before)

    def again(self, name: str, key: dg.AssetKey) -> list[str]:
        parent = self._finished(name, key)
        return [self.ask(_AGAIN, {"parentRunId": parent, "strategy": "ALL_STEPS"})["run"]["runId"]]

    def again_from_failure(self, name: str, key: dg.AssetKey) -> list[str]:
        parent = self._finished(name, key)
        return [self.ask(_AGAIN, {"parentRunId": parent, "strategy": "FROM_FAILURE"})["run"]["runId"]]

    def _finished(self, name: str, key: dg.AssetKey) -> str:
        """A run that failed at its first step, made behind the coordinator's back."""
        location = self.process.create_request_context().get_code_location(LOCATION)
        selector = JobSubsetSelector(
            location_name=LOCATION,
            repository_name="__repository__",
            job_name=name,
            op_selection=None,
            asset_selection=None,
        )
        job = location.get_job(selector)
        plan = location.get_execution_plan(job, {}, step_keys_to_execute=None, known_state=None, instance=self.instance)
        run = self.instance.create_run(
            job_name=name,
            run_id=str(uuid.uuid4()),
            run_config={},
            status=dg.DagsterRunStatus.NOT_STARTED,
            tags={"dagster/partition": "north"},
            root_run_id=None,
            parent_run_id=None,
            step_keys_to_execute=None,
            execution_plan_snapshot=plan.execution_plan_snapshot,
            job_snapshot=job.job_snapshot,
            parent_job_snapshot=job.parent_job_snapshot,
            asset_selection=None,
            asset_check_selection=None,
            resolved_op_selection=None,
            op_selection=None,
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
            asset_graph=location.get_repository("__repository__").asset_graph,
        )
        step = plan.execution_plan_snapshot.steps[0].key
        self.instance.report_dagster_event(
            dg.DagsterEvent(
                event_type_value="STEP_FAILURE",
                job_name=name,
                step_key=step,
                event_specific_data=dg._core.events.StepFailureData(error=None, user_failure_data=None),
            ),
            run.run_id,
        )
        self.instance.report_run_failed(run)
        return run.run_id

    def _ids(self, name: str) -> set[str]:
        return {run.run_id for run in self.instance.get_runs(dg.RunsFilter(job_name=name))}

    def _new(self, name: str, before: set[str]) -> list[str]:
        return sorted(self._ids(name) - before)


WAYS: dict[str, Callable[[Ways, str, dg.AssetKey], list[str]]] = {
    "launchPipelineExecution": Ways.launch_pipeline,
    "launchRun": Ways.launch_run,
    "launchRun of __ASSET_JOB": Ways.launch_asset_job,
    "launchRun of a part": Ways.launch_part,
    "launchMultipleRuns": Ways.launch_many,
    "edited tags": Ways.launch_with_tags,
    "edited config": Ways.launch_with_config,
    "backfill": Ways.backfill,
    "schedule": Ways.schedule,
    "asset sensor": Ways.asset_sensor,
    "automation condition": Ways.automation,
    "re-execute all": Ways.again,
    "re-execute from failure": Ways.again_from_failure,
}
