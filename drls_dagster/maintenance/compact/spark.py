"""Compaction by Spark's own procedure, where only it can: equality deletes, format version 3, very much data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError

if TYPE_CHECKING:
    from drls_dagster.maintenance.compact.selecting import Selection
    from drls_dagster.maintenance.work import Work
    from lifecycle.domain.operations import CompactOptions, CompactResult


def run_on_spark(work: Work, options: CompactOptions, chosen: Selection) -> CompactResult:
    raise DrlsError(f"{work.name} cannot be compacted here, since {chosen.spark}")
