"""A pipeline's partitions as Dagster's, and a run's partitions as a window."""

from __future__ import annotations

import dagster as dg

from drls_dagster.steps.window import Window
from lifecycle.spec import PipelineSpec, TimePartitions

_CLASSES: dict[str, type[dg.TimeWindowPartitionsDefinition]] = {
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


def window_of(context: dg.AssetExecutionContext, spec: PipelineSpec) -> Window | None:
    """The window of a run; a range of partitions is one window."""
    partitions = spec.partitions
    if partitions is None or not (context.has_partition_key or context.has_partition_key_range):
        return None
    keys = tuple(context.partition_keys)
    if not isinstance(partitions, TimePartitions):
        return Window(partitions.column, keys, whole=set(keys) == set(partitions.values))
    span = context.partition_time_window
    definition = partitions_definition(spec)
    count = len(definition.get_partition_keys()) if definition else 0
    return Window(
        partitions.column,
        keys,
        span.start,
        span.end,
        hourly=partitions.kind == "hourly",
        whole=len(keys) == count,
    )
