"""The newest run of each pipeline in each environment, as Dagster remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.settings import Settings
from drls_dagster.tags import ENVIRONMENT_TAG, PIPELINE_TAG, REFUSED_TAG, VERSION_TAG

if TYPE_CHECKING:
    import dagster as dg

_PAGE = 500


@dataclass(frozen=True)
class LastRun:
    """A run; `state` is Dagster's word in lower case, times are aware, None while it has not come to them."""

    run_id: str
    state: str
    created: datetime
    ended: datetime | None


def last_runs(settings: Settings, wanted: Mapping[tuple[str, str], str | None]) -> dict[tuple[str, str], LastRun]:
    """By (environment, pipeline); without those that never ran here. Where there never was a Dagster, nothing.

    `wanted` has the digest of the version whose runs count, None for those of any version. A run that the gate refused
    did nothing: it is nobody's last run.
    """
    if not wanted or not (settings.home / "dagster" / "dagster.yaml").exists():
        return {}
    import dagster as dg

    instance = instance_of(settings)
    found: dict[tuple[str, str], LastRun] = {}
    for record in instance.get_run_records(limit=_PAGE):
        tags = record.dagster_run.tags
        key = (tags.get(ENVIRONMENT_TAG, ""), tags.get(PIPELINE_TAG, ""))
        if key in wanted and wanted[key] in (None, tags.get(VERSION_TAG)) and not _was_refused(record):
            found.setdefault(key, _last_run(record))
    for environment, pipeline in wanted.keys() - found.keys():
        tags = {ENVIRONMENT_TAG: environment, PIPELINE_TAG: pipeline}
        digest = wanted[environment, pipeline]
        if digest is not None:
            tags[VERSION_TAG] = digest
        record = _newest_of(instance, dg.RunsFilter(tags=tags))
        if record is not None:
            found[environment, pipeline] = _last_run(record)
    return found


def _newest_of(instance: dg.DagsterInstance, wanted: dg.RunsFilter) -> dg.RunRecord | None:
    cursor: str | None = None
    while records := instance.get_run_records(wanted, limit=_PAGE, cursor=cursor):
        for record in records:
            if not _was_refused(record):
                return record
        cursor = records[-1].dagster_run.run_id
    return None


def _was_refused(record: dg.RunRecord) -> bool:
    run = record.dagster_run
    return run.is_finished and run.tags.get(REFUSED_TAG) == "true"


def _last_run(record: dg.RunRecord) -> LastRun:
    return LastRun(
        run_id=record.dagster_run.run_id,
        state=record.dagster_run.status.value.lower(),
        created=record.create_timestamp.astimezone(UTC),
        ended=None if record.end_time is None else datetime.fromtimestamp(record.end_time, UTC),
    )
