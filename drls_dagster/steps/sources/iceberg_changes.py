"""`read: changes`: what became of each key between two snapshots of an Iceberg table, computed by Spark.

The run's process holds no credential for the table's files, so it cannot read the change feed itself. Spark's changelog
gives the rows of the files that each snapshot added and removed, also those that were only rewritten; here they cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.columns import has_map, spark_ddl, spark_quoted
from drls_dagster.steps.changes import COLUMN, DELETE, UPSERT
from drls_dagster.steps.sources.pins import SourceUnreadable

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot
    from pyiceberg.types import IcebergType
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.connect.session import SparkSession


def net_changes(
    spark: SparkSession,
    table: Table,
    name: str,
    keys: Sequence[str],
    start: int | None,
    end: int | None,
    log: Callable[[str], None],
) -> DataFrame:
    """A row for each key that changed, as it is at `end` (upsert) or was at `start` (delete).

    Without `start` all rows are upserts. `name` is the table's as Spark writes it. Raises SourceUnreadable where the
    table lacks a key.
    """
    columns = refs.schema_at(table, end)
    named = {column.name.lower(): column.name for column in columns.columns}
    missing = [key for key in keys if key.lower() not in named]
    if missing:
        raise SourceUnreadable(f"{'.'.join(table.name())} has no column '{missing[0]}', which is a key of its changes")
    keys = [named[key.lower()] for key in keys]
    if COLUMN in named:
        raise SourceUnreadable(f"{'.'.join(table.name())} has a column '{COLUMN}' of its own; rename it there")
    if end is None or start == end:
        return spark.sql(f"SELECT *, '{UPSERT}' AS {COLUMN} FROM {name} WHERE false")
    if start is None:
        return spark.sql(f"SELECT *, '{UPSERT}' AS {COLUMN} FROM {name} VERSION AS OF {end}")
    why = _not_in_changelog(table, columns, start, end)
    if why is None:
        events = _changelog(spark, table, name, columns, start, end)
    else:
        log(f"reads all of {'.'.join(table.name())} to find its changes: {why}")
        events = _both_ends(spark, table, name, columns, start, end)
    return _net(events, columns, keys, ".".join(table.name()))


def _changelog(spark: SparkSession, table: Table, name: str, columns: Schema, start: int, end: int) -> DataFrame:
    """Rows that come and go, in the order of snapshots: `at`, `comes`, and the row as a struct."""
    from pyspark.sql.connect.functions import builtin as f

    log = (
        spark.read.option("start-snapshot-id", str(start))
        .option("end-snapshot-id", str(end))
        .table(f"{name}.`changes`")
    )
    # The changelog has the table's columns as they are called now.
    now = {column.field_id: column.name for column in table.schema().columns}
    row = f.struct(*(f.col(spark_quoted(now[one.field_id])).alias(one.name) for one in columns.columns))
    return log.select(
        f.col("_change_ordinal").alias("at"), (f.col("_change_type") == "INSERT").alias("comes"), row.alias("row")
    )


def _both_ends(spark: SparkSession, table: Table, name: str, columns: Schema, start: int, end: int) -> DataFrame:
    """The same as `_changelog`, as if one snapshot had replaced every row."""
    from pyspark.sql.connect.functions import builtin as f

    old = {column.field_id: column for column in refs.schema_at(table, start).columns}
    then: list[Column] = []
    for column in columns.columns:
        was = old.get(column.field_id)
        known = was is not None and _casts(was.field_type, column.field_type)
        value = f.col(spark_quoted(was.name)) if was is not None and known else f.lit(None)
        then.append(value.cast(spark_ddl(column.field_type)).alias(column.name))
    now = (f.col(spark_quoted(column.name)) for column in columns.columns)
    sides = (
        spark.sql(f"SELECT * FROM {name} VERSION AS OF {at}").select(
            f.lit(0).alias("at"), f.lit(comes).alias("comes"), f.struct(*row).alias("row")
        )
        for at, comes, row in ((start, False, then), (end, True, now))
    )
    left, right = sides
    return left.union(right)


def _net(events: DataFrame, columns: Schema, keys: Sequence[str], name: str) -> DataFrame:
    from pyspark.sql.connect.functions import builtin as f

    aliases = {key: f"key_{number}" for number, key in enumerate(keys)}
    comes = f.col("comes")
    each = (
        events.select(
            *(f.col("row")[key].alias(alias) for key, alias in aliases.items()),
            "at",
            f.when(comes, f.col("row")).alias("new"),
            f.when(~comes, f.col("row")).alias("old"),
        )
        .groupBy(*aliases.values(), "at")
        .agg(
            f.first("new", ignorenulls=True).alias("new"),
            f.first("old", ignorenulls=True).alias("old"),
            f.count("new").alias("came"),
            f.count("old").alias("went"),
        )
    )
    by = f.col("came") - f.col("went")
    net = each.groupBy(*aliases.values()).agg(
        f.min_by("old", "at").alias("old"),
        f.max_by("new", "at").alias("new"),
        f.max(f.greatest("came", "went")).alias("times"),
        f.collect_list(f.when(by != 0, f.struct("at", by.alias("by")))).alias("steps"),
    )
    # A row of a unique key that comes twice goes in between.
    turns = f.aggregate(
        f.sort_array("steps"),
        f.struct(f.lit(0).cast("bigint").alias("last"), f.lit(True).alias("turns")),
        lambda so_far, step: f.struct(
            step["by"].alias("last"), (so_far["turns"] & (step["by"] != so_far["last"])).alias("turns")
        ),
        lambda so_far: so_far["turns"],
    )
    twins = f.raise_error(
        f.lit(f"DRLS: {name} has several rows with the same {', '.join(keys)}; changes need a unique key")
    ).cast("boolean")
    single = net.where(f.when((f.col("times") <= 1) & turns, f.lit(True)).otherwise(twins))
    differs = f.col("old").isNotNull() | f.col("new").isNotNull()
    if not any(has_map(column.field_type) for column in columns.columns):
        # Text too: Spark takes 0.0 and -0.0 for equal. Maps it cannot compare, so that those rows are all written.
        text = f.col("old").cast("string").eqNullSafe(f.col("new").cast("string"))
        differs = ~(f.col("old").eqNullSafe(f.col("new")) & text)
    kept = f.coalesce("new", "old")
    return single.where(differs).select(
        *(kept[column.name].alias(column.name) for column in columns.columns),
        f.when(f.col("new").isNull(), DELETE).otherwise(UPSERT).alias(COLUMN),
    )


def _not_in_changelog(table: Table, columns: Schema, start: int, end: int) -> str | None:
    """Why Spark's changelog does not lead from `start` to `end`."""
    between: list[Snapshot] = []
    for snapshot in refs.ancestors(table, end):
        if snapshot.snapshot_id == start:
            break
        between.append(snapshot)
    else:
        return f"snapshot {start} is no longer an ancestor of {end}, or snapshots in between have expired"
    kinds = {column.field_id: column.field_type for column in table.schema().columns}
    changed = next((one.name for one in columns.columns if kinds.get(one.field_id) != one.field_type), None)
    if changed is not None:
        return f"its column '{changed}' was changed or dropped after snapshot {end}"
    deletes = next((one for one in between if _may_have_deletes(one)), None)
    if deletes is not None:
        return f"snapshot {deletes.snapshot_id} has delete files, which Spark's changelog does not read"
    return None


def _may_have_deletes(snapshot: Snapshot) -> bool:
    """As its summary says: the run's process reads no manifest."""
    if snapshot.summary is not None and snapshot.summary.operation.value == "replace":
        return False  # left out of the changelog
    return refs.summary(snapshot).get("total-delete-files") != "0"


def _casts(was: IcebergType, now: IcebergType) -> bool:
    """Whether values of the earlier type are values of the present one; fields of structs would go by place."""
    from pyiceberg.types import PrimitiveType

    return was == now or (isinstance(was, PrimitiveType) and isinstance(now, PrimitiveType))
