"""Who may change what in Dagster: the one table. A mutation that is not in it is refused, and fails a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dagster import AssetKey

from drls_dagster.up.web.touched import ANYWHERE, EVERYTHING, Arguments, Finder, Touched, every, ids_in
from lifecycle.domain.roles import Role


@dataclass(frozen=True)
class Rule:
    """The least role, on what the arguments lead to."""

    role: Role
    touches: Callable[[Finder, Arguments], Touched]


def _launch(find: Finder, given: Arguments) -> Touched:
    return _execution(find, given["executionParams"])


def _launch_many(find: Finder, given: Arguments) -> Touched:
    return every(_execution(find, one) for one in given["executionParamsList"])


def _execution(find: Finder, params: Arguments) -> Touched:
    """The job, and the runs that a launch says it repeats: with a tag, it takes over what they keep, and ends them."""
    metadata = params.get("executionMetadata") or {}
    parents = [metadata.get(name) for name in ("parentRunId", "rootRunId")]
    return every([find.job(params["selector"]), *(find.run(one) for one in parents if one)])


def _again(find: Finder, given: Arguments) -> Touched:
    found: list[Touched] = []
    if params := given.get("executionParams"):
        found.append(_execution(find, params))
    if params := given.get("reexecutionParams"):
        found.append(find.again(params["parentRunId"]))
    return every(found)


def _backfill(find: Finder, given: Arguments) -> Touched:
    params = given["backfillParams"]
    found = [find.partition_set(params["selector"])] if params.get("selector") else []
    by_assets = [one["assetKey"] for one in params.get("partitionsByAssets") or () if one]
    keys = [_key(one) for one in (*(params.get("assetSelection") or ()), *by_assets)]
    return every([*found, *([find.assets(keys)] if keys else [])])


def _backfill_again(find: Finder, given: Arguments) -> Touched:
    params = given.get("reexecutionParams") or {}
    return find.backfill(params.get("parentRunId"))


def _event(find: Finder, given: Arguments) -> Touched:
    return find.assets([_key(given["eventParams"]["assetKey"])])


def _everything(_find: Finder, _given: Arguments) -> Touched:
    return EVERYTHING


def _anywhere(_find: Finder, _given: Arguments) -> Touched:
    return ANYWHERE


def _key(given: Arguments) -> AssetKey:
    return AssetKey([str(part) for part in given["path"]])


_ENGINEER, _LEAD, _ADMIN = Role.DATA_ENGINEER, Role.LEAD, Role.ADMIN
_LAUNCH, _AGAIN = Rule(_ENGINEER, _launch), Rule(_ENGINEER, _again)
_RUN = Rule(_ENGINEER, lambda find, given: find.run(given["runId"]))
_BACKFILL = Rule(_ENGINEER, lambda find, given: find.backfill(given["backfillId"]))
_SCHEDULE = Rule(_LEAD, lambda find, given: find.schedule(given["scheduleSelector"]))
# Sensors that keep the installation in order ask for an Admin (touched.py).
_SENSOR = Rule(_LEAD, lambda find, given: find.sensor(given["sensorSelector"]))
_INSTALLATION = Rule(_ADMIN, _everything)

MUTATIONS: Mapping[str, Rule] = {
    "launchPipelineExecution": _LAUNCH,
    "launchRun": _LAUNCH,
    "launchMultipleRuns": Rule(_ENGINEER, _launch_many),
    "launchPipelineReexecution": _AGAIN,
    "launchRunReexecution": _AGAIN,
    "launchPartitionBackfill": Rule(_ENGINEER, _backfill),
    "resumePartitionBackfill": _BACKFILL,
    "reexecutePartitionBackfill": Rule(_ENGINEER, _backfill_again),
    "cancelPartitionBackfill": _BACKFILL,
    "terminatePipelineExecution": _RUN,
    "terminateRun": _RUN,
    "terminateRuns": Rule(_ENGINEER, lambda find, given: find.runs(given["runIds"])),
    # What Dagster remembers of runs and assets.
    "deletePipelineRun": _INSTALLATION,
    "deleteRun": _INSTALLATION,
    "wipeAssets": _INSTALLATION,
    "reportRunlessAssetEvents": Rule(_LEAD, _event),
    "reportAssetCheckEvaluations": Rule(_LEAD, _event),
    "addDynamicPartition": _INSTALLATION,
    "deleteDynamicPartitions": _INSTALLATION,
    # What starts runs.
    "startSchedule": _SCHEDULE,
    "stopRunningSchedule": Rule(_LEAD, lambda find, given: find.schedule_by_id(ids_in(given))),
    "resetSchedule": _SCHEDULE,
    "scheduleDryRun": Rule(_ENGINEER, lambda find, given: find.schedule(given["selectorData"])),
    "startSensor": _SENSOR,
    "stopSensor": Rule(_LEAD, lambda find, given: find.sensor_by_id(ids_in(given))),
    "resetSensor": _SENSOR,
    "setSensorCursor": _SENSOR,
    # It evaluates the sensor for real.
    "sensorDryRun": Rule(_LEAD, lambda find, given: find.sensor(given["selectorData"])),
    "setAutoMaterializePaused": _INSTALLATION,
    # What is loaded.
    "reloadRepositoryLocation": Rule(_ENGINEER, lambda find, given: find.reload(given["repositoryLocationName"])),
    "reloadWorkspace": Rule(_LEAD, _everything),
    "shutdownRepositoryLocation": _INSTALLATION,
    "setAppManagedComponent": _INSTALLATION,
    "deleteAppManagedComponent": _INSTALLATION,
    "refreshComponentState": _INSTALLATION,
    # Limits of the whole instance.
    "setConcurrencyLimit": _INSTALLATION,
    "deleteConcurrencyLimit": _INSTALLATION,
    "freeConcurrencySlots": _INSTALLATION,
    "freeConcurrencySlotsForRun": _INSTALLATION,
    # The UI about itself.
    "logTelemetry": Rule(Role.VIEWER, _anywhere),
    "setNuxSeen": Rule(Role.VIEWER, _anywhere),
}
# The same for what its REST routes store.
REPORTS = Rule(_LEAD, lambda find, given: find.assets([_key(given["assetKey"])]))
