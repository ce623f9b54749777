"""Compaction: fewer, larger, ordered data files with the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.domain.operations import CompactOptions, CompactResult, OperationPlan

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from drls_dagster.maintenance.work import Keep, Work


def plan(table: Table, ref: str, options: CompactOptions, keep: Keep) -> OperationPlan:
    """What a compaction of `ref` would do, from metadata alone. Raises UsageError for options that do not fit."""
    from drls_dagster.maintenance.compact.planning import planned
    from drls_dagster.maintenance.compact.selecting import select
    from drls_dagster.settings import load_settings

    above = load_settings().maintenance.spark_above
    return planned(table, ref, options, select(table, ref, options, spark_above=above))


def execute(work: Work, options: CompactOptions) -> CompactResult:
    """Compact what needs it now, which may be more or less than what a plan saw.

    Raises DrlsError where Spark is needed and fails, CommitConflictError where others were faster all the time.
    """
    from drls_dagster.lakehouse.rewriting import Manifests
    from drls_dagster.lakehouse.stale_versions import remove_stale_versions
    from drls_dagster.maintenance.compact import spark
    from drls_dagster.maintenance.compact.running import run
    from drls_dagster.maintenance.compact.selecting import select
    from drls_dagster.maintenance.compact.tidying import clean_up

    work.table = work.catalog.load_table(work.table.name())
    spark.stop_earlier(work)
    clean_up(work)
    manifests = Manifests(work.table.io)
    above = work.settings.maintenance.spark_above
    chosen = select(work.table, work.ref, options, manifests, spark_above=above)
    rewrite = spark.rewrite if chosen.spark else run
    done = rewrite(work, options, chosen, manifests)
    if done.snapshot is not None:
        # Now that the table has moved on, nobody can commit what a killed one, or one that was overtaken, left.
        remove_stale_versions(work.settings, work.table)
    return done
