"""The event log of a run that somebody waits for: Dagster's own finds in it what Dagster's own would have written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from drls_dagster.dagster_private.instance import InstanceRef
from drls_dagster.dagster_private.sqlite import SqliteEventLogStorage
from drls_dagster.dagster_private.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from drls_dagster.dagster_private.tried import ConsolidatedSqliteEventLogStorage
from drls_dagster.launch.event_log import BatchingEventLog, batching

KEYS = [dg.AssetKey("first"), dg.AssetKey("second")]
MONTHS = dg.MonthlyPartitionsDefinition("2013-01-01", end_date="2014-01-01")
RANGE = {ASSET_PARTITION_RANGE_START_TAG: "2013-01-01", ASSET_PARTITION_RANGE_END_TAG: "2013-12-01"}


@pytest.fixture(autouse=True)
def _batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")  # as `batching` sets it, put back afterwards


@dg.asset(partitions_def=MONTHS, backfill_policy=dg.BackfillPolicy.single_run())
def first() -> dg.MaterializeResult[Any]:
    return dg.MaterializeResult(metadata={"rows": 3})


@dg.asset(
    partitions_def=MONTHS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=["first"],
    check_specs=[dg.AssetCheckSpec(name, asset="second") for name in ("good", "bad")],
)
def second() -> Iterator[Any]:
    yield dg.AssetCheckResult(passed=True, check_name="good")
    yield dg.AssetCheckResult(passed=False, check_name="bad")
    yield dg.MaterializeResult(metadata={"rows": 4})


def run_in(ref: InstanceRef) -> tuple[type, str]:
    """Runs both assets, all their partitions in one run; the event log's class, and the run's id."""
    job = dg.Definitions([first, second], jobs=[dg.define_asset_job("both")]).resolve_job_def("both")
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.from_ref(ref) as instance:
        ran = job.execute_in_process(instance=instance, asset_selection=KEYS, tags=RANGE, run_config=quiet)
        return type(instance.event_log_storage), ran.run_id


def told(folder: Path, run_id: str) -> dict[str, Any]:
    """What Dagster's own storage says of a run, but for ids and times."""
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        logs = instance.all_logs(run_id)
        newest = [instance.get_latest_materialization_event(key) for key in KEYS]
        records = [instance.fetch_materializations(key, limit=100).records for key in KEYS]
        checks = [
            instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(KEYS[1], name), limit=100)
            for name in ("good", "bad")
        ]
        return {
            "events": Counter(event.dagster_event_type for event in logs),
            "partitions": [sorted(instance.get_materialized_partitions(key)) for key in KEYS],
            "newest": [one and one.asset_materialization and one.asset_materialization.partition for one in newest],
            "records": [[one.partition_key for one in found] for found in records],
            "checks": [[(one.partition, one.status) for one in found] for found in checks],
            "run": instance.get_run_by_id(run_id).status,  # pyright: ignore[reportOptionalMemberAccess]
            "last": [record.asset_entry.last_run_id == run_id for record in instance.get_asset_records(KEYS)],
        }


def test_a_run_s_events_are_those_that_dagster_s_own_storage_keeps(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    class_here, ours = run_in(batching(InstanceRef.from_dir(str(tmp_path / "ours"))))
    class_there, theirs = run_in(InstanceRef.from_dir(str(tmp_path / "theirs")))
    assert (class_here, class_there) == (BatchingEventLog, SqliteEventLogStorage)

    found = told(tmp_path / "ours", ours)
    assert found == told(tmp_path / "theirs", theirs)
    assert found["events"][dg.DagsterEventType.ASSET_MATERIALIZATION] == 24
    assert [len(keys) for keys in found["partitions"]] == [12, 12]


def test_a_batch_that_cannot_be_stored_leaves_nothing_of_itself(tmp_path: Path) -> None:
    ref = batching(InstanceRef.from_dir(str(tmp_path)))
    _, run_id = run_in(ref)
    with dg.DagsterInstance.from_ref(ref) as instance:
        storage = instance.event_log_storage
        events = [one for one in instance.all_logs(run_id) if one.dagster_event and one.dagster_event.asset_key]
        before = [told(tmp_path, run_id)[name] for name in ("events", "records")]
        broken = events[0]._replace(job_name=object())  # cannot be serialized
        with pytest.raises(Exception, match="Unhandled value type"):
            storage.store_event_batch([*events[:3], broken])
    assert [told(tmp_path, run_id)[name] for name in ("events", "records")] == before


def test_another_storage_than_dagster_s_in_sqlite_stays_what_it_is(tmp_path: Path) -> None:
    other = ConsolidatedSqliteEventLogStorage
    (tmp_path / "dagster.yaml").write_text(
        f"event_log_storage: {{module: {other.__module__}, class: {other.__name__}, config: {{base_dir: {tmp_path}}}}}\n"
    )
    ref = InstanceRef.from_dir(str(tmp_path))
    assert batching(ref) == ref
