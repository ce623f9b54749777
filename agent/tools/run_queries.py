"""What the tools ask Dagster about runs, and how its answers are read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agent.tools.call import Dagster
from agent.tools.dagster import DagsterRefused, one_line
from agent.tools.errors import ToolError
from agent.tools.selection import Asset, Graph
from drls_dagster.tags import ENVIRONMENT_TAG, PIPELINE_TAG, REFUSED_TAG, RELEASE_TAG
from lifecycle.domain.environment import Environment

REPOSITORY = "__repository__"
ASSET_JOB = "__ASSET_JOB"
USER_TAG = "user"
_PAGE = 200
_ROW = "runId status jobName creationTime startTime endTime tags { key value }"
LIST = f"""query Runs($filter: RunsFilter, $cursor: String, $limit: Int) {{
  runsOrError(filter: $filter, cursor: $cursor, limit: $limit) {{
    __typename ... on Runs {{ results {{ {_ROW} }} }} ... on Error {{ message }} }} }}"""
RUN = f"""query Run($id: ID!) {{ runOrError(runId: $id) {{
  __typename ... on Error {{ message }}
  ... on Run {{ {_ROW} stepKeysToExecute stepStats {{ stepKey status startTime endTime }} }} }} }}"""
EVENTS = """query Events($id: ID!, $cursor: String, $limit: Int) {
  logsForRun(runId: $id, afterCursor: $cursor, limit: $limit) {
  __typename ... on Error { message }
  ... on EventConnection { cursor hasMore events {
    __typename
    ... on MessageEvent { timestamp level stepKey message eventType }
    ... on ErrorEvent { error { message } }
    ... on AssetCheckEvaluationEvent { evaluation { checkName assetKey { path } success severity description } }
    ... on MaterializationEvent { assetKey { path } metadataEntries { label
      ... on IntMetadataEntry { intRepr } ... on TextMetadataEntry { text } } } } } } }"""
LAUNCH = """mutation Launch($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
BACKFILL = """mutation Backfill($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on Error { message } } }"""
CANCEL = """mutation Cancel($id: String!) { terminateRun(runId: $id, terminatePolicy: SAFE_TERMINATE) {
  __typename ... on Error { message } ... on TerminateRunFailure { message } } }"""
_ASSET = """assetKey { path } groupName dependencyKeys { path } kinds tags { key value } isMaterializable isPartitioned
  owners { ... on UserAssetOwner { email } ... on TeamAssetOwner { team } } backfillPolicy { maxPartitionsPerRun }
  metadataEntries { label ... on TextMetadataEntry { text } }"""
_JOB = """query Job($job: PipelineSelector!) { pipelineOrError(params: $job) {
  __typename ... on Error { message }
  ... on Pipeline { partitionKeysOrError { partitionKeys } } } }"""
_SAID = {
    "QUEUED": "queued", "NOT_STARTED": "queued", "MANAGED": "queued", "STARTING": "running", "STARTED": "running",
    "SUSPENDED": "running", "CANCELING": "cancelling", "SUCCESS": "succeeded", "FAILURE": "failed",
    "CANCELED": "cancelled",
}  # fmt: skip
STATUSES = {
    "queued": ["QUEUED", "NOT_STARTED"],
    "running": ["STARTING", "STARTED", "CANCELING"],
    "succeeded": ["SUCCESS"],
    "failed": ["FAILURE"],
    "cancelled": ["CANCELED"],
}
OVER = frozenset({"succeeded", "failed", "cancelled", "refused"})
STEPS = {"SUCCESS": "done", "FAILURE": "failed", "SKIPPED": "skipped", "IN_PROGRESS": "running"}


def tags_of(run: Mapping[str, Any]) -> dict[str, str]:
    return {one["key"]: one["value"] for one in run["tags"]}


def status_of(run: Mapping[str, Any]) -> str:
    """In the words of STATUSES; `refused` for one that the gate let do nothing."""
    if run["status"] == "FAILURE" and tags_of(run).get(REFUSED_TAG) == "true":
        return "refused"
    return _SAID.get(run["status"], run["status"].lower())


def row_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """What every answer says of a run."""
    tags = tags_of(run)
    start, end = run.get("startTime"), run.get("endTime")
    return {
        "run_id": run["runId"],
        "pipeline": tags.get(PIPELINE_TAG) or run["jobName"],
        "environment": tags.get(ENVIRONMENT_TAG),
        "version": tags.get(RELEASE_TAG),
        "status": status_of(run),
        "by": tags.get(USER_TAG),
        "created": when(run["creationTime"]),
        "seconds": round(end - start, 1) if start and end else None,
    }


def when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def run_of(dagster: Dagster, run_id: str) -> dict[str, Any]:
    """One run with its steps. Raises ToolError for one that is not there, or is not for the caller."""
    found = dagster.query(RUN, {"id": run_id})["runOrError"]
    if found["__typename"] != "Run":
        raise ToolError(f"there is no run {one_line(run_id, 80)}", hint="look for its id with list_runs")
    return found


Events = tuple[list[dict[str, Any]], str, bool]


def events_of(dagster: Dagster, run_id: str, cursor: str | None = None) -> Iterator[Events]:
    """The run's events, oldest first, by pages: the events, the cursor behind them, whether there are more."""
    more = True
    while more:
        found = dagster.query(EVENTS, {"id": run_id, "cursor": cursor, "limit": _PAGE})["logsForRun"]
        if found["__typename"] != "EventConnection":
            raise ToolError(f"the events of run {run_id} cannot be read: {one_line(found.get('message', ''))}")
        cursor, more = found["cursor"], found["hasMore"]
        yield found["events"], found["cursor"], more


def seen_pipelines(names: Sequence[str], dagster: Dagster, environment: Environment) -> Graph:
    """The assets of these pipelines in an environment."""
    found: dict[tuple[str, ...], Asset] = {}
    for start in range(0, len(names), 20):
        part = names[start : start + 20]
        fields = " ".join(
            f"p{number}: assetNodes(group: {{groupName: {json.dumps(name)}, repositoryName: {json.dumps(REPOSITORY)}, "
            f"repositoryLocationName: {json.dumps(environment.value)}}}) {{ {_ASSET} }}"
            for number, name in enumerate(part)
        )
        for nodes in dagster.query(f"query Assets {{ {fields} }}").values():
            for node in nodes:
                one = _asset(node)
                found[one.key] = one
    return Graph(found)


def _asset(node: Mapping[str, Any]) -> Asset:
    key = tuple(node["assetKey"]["path"])
    told = {one["label"]: one.get("text") for one in node["metadataEntries"]}
    policy = node.get("backfillPolicy")
    return Asset(
        key=key,
        pipeline=node["groupName"],
        node=told.get("drls/node") or key[-1],
        reads=frozenset(tuple(one["path"]) for one in node["dependencyKeys"]),
        kinds=frozenset(node["kinds"]),
        tags={one["key"]: one["value"] for one in node["tags"]},
        owners=frozenset(one.get("email") or one.get("team") or "" for one in node["owners"]),
        runs=node["isMaterializable"],
        partitioned=node["isPartitioned"],
        one_run=policy is None or policy["maxPartitionsPerRun"] is None,
    )


def partition_keys(dagster: Dagster, pipeline: str, environment: Environment) -> list[str]:
    """The partitions of a pipeline, in order. Raises ToolError where it is not loaded there."""
    job = {
        "pipelineName": pipeline,
        "repositoryName": REPOSITORY,
        "repositoryLocationName": environment.value,
    }
    found = dagster.query(_JOB, {"job": job})["pipelineOrError"]
    if found["__typename"] != "Pipeline":
        raise not_there(pipeline, environment)
    return found["partitionKeysOrError"]["partitionKeys"]


def not_there(pipeline: str, environment: Environment) -> ToolError:
    return ToolError(
        f"there is no pipeline {pipeline} in {environment.label}",
        hint="save it (development) or promote it there; get_pipeline shows where versions are active",
    )


def launched(found: Mapping[str, Any]) -> str:
    """The id of what was launched. Raises ToolError with Dagster's reason."""
    if found["__typename"] == "LaunchRunSuccess":
        return found["run"]["runId"]
    if found["__typename"] == "LaunchBackfillSuccess":
        return found["backfillId"]
    told = found.get("message") or "; ".join(one["message"] for one in found.get("errors") or ())
    raise ToolError(f"nothing was started: {one_line(told or found['__typename'])}", hint="correct the arguments")


def is_narrow(error: DagsterRefused) -> bool:
    """Whether the door refused because the caller sees some pipelines only."""
    return error.code == 403 and "Viewer on everything" in error.message
