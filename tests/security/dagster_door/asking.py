"""What people ask of Dagster."""

from __future__ import annotations

from tests.security.door import LOCATION, MINE, Door

SENSOR = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "sensorName": f"{MINE}_sensor"}
SCHEDULE = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "scheduleName": f"{MINE}_schedule"}
AGAIN = """mutation($p: ReexecutionParams) { launchRunReexecution(reexecutionParams: $p) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
BACKFILL = """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
BACKFILL_AGAIN = BACKFILL.replace(
    "launchPartitionBackfill(backfillParams", "reexecutePartitionBackfill(reexecutionParams"
).replace("LaunchBackfillParams!", "ReexecutionParams")


def key(pipeline: str, *more: str) -> dict[str, list[str]]:
    return {"path": [LOCATION, "lake", pipeline, "kept", *more]}


def run_by(door: Door, name: str, pipeline: str = MINE) -> str:
    return door.run_of(door.launch(name, pipeline)).run_id
