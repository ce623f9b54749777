"""A pipeline's partitions as Dagster's, and a run's partitions as a window."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import datetime

import dagster as dg

from drls_dagster.dagster_private.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)
from drls_dagster.steps.window import Window
from lifecycle.spec import PipelineSpec, TimePartitions

# Dagster would say it once for each asset, in each location, each time that it loads.
warnings.filterwarnings("ignore", "Parameter `backfill_policy` of function `asset`", dg.BetaWarning)

_CLASSES: dict[str, Callable[..., dg.PartitionsDefinition]] = {
    "hourly": dg.HourlyPartitionsDefinition,
    "daily": dg.DailyPartitionsDefinition,
    "weekly": dg.WeeklyPartitionsDefinition,
    "monthly": dg.MonthlyPartitionsDefinition,
}


def partitions_definition(spec: PipelineSpec) -> dg.PartitionsDefinition | None:
    """Dagster's partitions of a pipeline, None for an unpartitioned one."""
    partitions = spec.partitions
    if partitions is None:
        return None
    if not isinstance(partitions, TimePartitions):
        return dg.StaticPartitionsDefinition(list(partitions.values))
    more = {"day_offset": 1} if partitions.kind == "weekly" else {}  # weeks begin on Monday
    return _CLASSES[partitions.kind](
        start_date=partitions.start, end_date=partitions.end, timezone=partitions.timezone, **more
    )


def backfill_policy(spec: PipelineSpec) -> dg.BackfillPolicy | None:
    """Ranges of time run as one run; a static key is one run, because SQL sees one key."""
    if spec.partitions is None:
        return None
    if isinstance(spec.partitions, TimePartitions):
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(1)


def window_of(run: dg.DagsterRun, spec: PipelineSpec) -> Window | None:
    """The window of a run; a range of partitions is one window.

    Set by the run, because steps of checks on sources have no partitions of their own.
    """
    partitions, definition = spec.partitions, partitions_definition(spec)
    keys = _keys(run, definition) if definition is not None else ()
    if partitions is None or definition is None or not keys:
        return None
    if not isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return Window(partitions.column, keys, whole=set(keys) == set(definition.get_partition_keys()))
    known = definition.get_partition_keys()
    last = definition.time_window_for_partition_key(keys[-1])
    following = known[known.index(keys[-1]) + 1 :][:1]
    # Dagster gives a day that a zone skipped (Samoa, 30 December 2011) the rows of the day after, which has its own.
    ends = [last.end, *(definition.time_window_for_partition_key(key).start for key in following)]
    # And where a clock is put forward by half an hour (Lord Howe Island), it gives that half hour to no partition.
    before = known[max(known.index(keys[0]) - 1, 0) : known.index(keys[0])]
    starts = [
        definition.time_window_for_partition_key(keys[0]).start,
        *(definition.time_window_for_partition_key(key).end for key in before),
    ]
    return Window(
        partitions.column,
        keys,
        min(starts, key=datetime.timestamp),
        min(ends, key=datetime.timestamp),
        hourly=partitions.kind == "hourly",
        whole=len(keys) == len(known),
    )


def _keys(run: dg.DagsterRun, definition: dg.PartitionsDefinition) -> tuple[str, ...]:
    if PARTITION_NAME_TAG in run.tags:
        return (run.tags[PARTITION_NAME_TAG],)
    if ASSET_PARTITION_RANGE_START_TAG not in run.tags:
        return ()
    span = dg.PartitionKeyRange(run.tags[ASSET_PARTITION_RANGE_START_TAG], run.tags[ASSET_PARTITION_RANGE_END_TAG])
    return tuple(definition.get_partition_keys_in_range(span))
