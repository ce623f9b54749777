"""The four modes of a sink, written to a branch by Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyiceberg.types import IcebergType, ListType, MapType, NestedField, StructType

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.columns import spark_ddl, spark_quoted
from drls_dagster.lakehouse.earlier_layout import PartitionValue
from drls_dagster.steps.changes import COLUMN, DELETE, UPSERT
from drls_dagster.steps.window import Window
from lifecycle.spec import SinkNode

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.connect.session import SparkSession
    from pyspark.sql.readwriter import DataFrameWriterV2

    from drls_dagster.engine.counting import Watch

_CONF = "spark.sql.iceberg.snapshot-property."
_LOOK_FIRST = "spark.sql.optimizer.runtime.rowLevelOperationGroupFilter.enabled"
SMALL_BYTES = 64 * 2**20  # written again as a whole within a second or two


@dataclass(frozen=True)
class WritePlan:
    """What is written where; the frame's columns by lower-case name."""

    catalog: str
    target: str  # quoted table name, catalog first
    branch: str
    sink: SinkNode
    columns: Sequence[NestedField]
    frame_columns: Mapping[str, NestedField]
    window: Window | None
    whole: bool  # the table is rebuilt: everything in it is replaced
    summary: Mapping[str, str]
    changes: bool = False  # the frame says of each row what becomes of it
    target_bytes: float = 0  # of the table's files before the write; infinite where nobody has counted them
    over_earlier: Sequence[PartitionValue] = ()  # the partition fields, where files lie in an earlier partitioning
    watch: Watch | None = None  # asks how many rows are read

    @property
    def branch_name(self) -> str:
        return f"{self.target}.`branch_{self.branch}`"

    def watched(self, rows: DataFrame, alias: str = "") -> DataFrame:
        """The rows, whose write is asked how many it reads."""
        if self.watch is not None:
            return self.watch.over(rows, alias)
        return rows.alias(alias) if alias else rows


def write(spark: SparkSession, frame: DataFrame, plan: WritePlan) -> None:
    """One sink write. It adds one snapshot to the branch, or two where files had to be rewritten first.

    Raises DrlsError for rows outside the run's window, and for keys that repeat in a merge.
    """
    from pyspark.errors import PySparkException

    rows = _fitted(frame, plan)
    try:
        if plan.whole:
            _with_summary(rows, plan).overwrite(_true())
        elif plan.sink.mode == "append":
            _with_summary(rows, plan).append()
        elif plan.sink.mode == "overwrite":
            _with_summary(rows, plan).overwrite(_true())
        elif plan.sink.mode == "merge":
            _merge(spark, rows, plan)
        elif plan.window is None:
            _overwrite_partitions(rows, plan)
        else:
            _overwrite_window(spark, rows, plan, plan.window)
    except PySparkException as error:
        told = what_write_refused(error)
        if told is None:
            raise
        raise DrlsError(f"sink '{plan.sink.id}': {told}") from None


def _fitted(frame: DataFrame, plan: WritePlan) -> DataFrame:
    """The frame with exactly the table's columns, by name: what it lacks is null (D10).

    Where it says of each row what becomes of it, that column is left for the merge; a rebuilt table gets no deletes.
    """
    from pyspark.sql.connect.functions import builtin as f

    chosen: list[Column] = []
    for field in plan.columns:
        own = plan.frame_columns.get(field.name.lower())
        column = _null(field) if own is None else _fit(f.col(spark_quoted(own.name)), own.field_type, field.field_type)
        chosen.append(column.alias(field.name))
    if not plan.changes:
        return frame.select(*chosen)
    wrong = f.raise_error(
        f.concat(f.lit(f"DRLS: {COLUMN} is '"), f.coalesce(COLUMN, f.lit("null")), f.lit("', not upsert or delete"))
    ).cast("boolean")
    upserts, deletes = f.col(COLUMN) == UPSERT, f.col(COLUMN) == DELETE
    known = f.when(upserts, f.lit(True)).when(deletes, f.lit(not plan.whole)).otherwise(wrong)
    rows = frame.where(known)
    return rows.select(*chosen) if plan.whole else rows.select(*chosen, f.col(COLUMN))


def _fit(column: Column, have: IcebergType, want: IcebergType) -> Column:
    """A column as the table's type. Fields of structs go by name, wherever they are: Spark's cast goes by place."""
    from pyspark.sql.connect.functions import builtin as f

    if spark_ddl(have) == spark_ddl(want):
        return column
    if isinstance(have, StructType) and isinstance(want, StructType):
        known = {field.name.lower(): field for field in have.fields}
        parts: list[Column] = []
        for field in want.fields:
            own = known.get(field.name.lower())
            part = _null(field) if own is None else _fit(column[own.name], own.field_type, field.field_type)
            parts.append(part.alias(field.name))
        return f.when(column.isNotNull(), f.struct(*parts))
    if isinstance(have, ListType) and isinstance(want, ListType):
        return f.transform(column, lambda one: _fit(one, have.element_type, want.element_type))
    if isinstance(have, MapType) and isinstance(want, MapType):
        fitted = f.transform_values(column, lambda _, value: _fit(value, have.value_type, want.value_type))
        return f.transform_keys(fitted, lambda key, _: _fit(key, have.key_type, want.key_type))
    return column.cast(spark_ddl(want))


def _null(field: NestedField) -> Column:
    from pyspark.sql.connect.functions import builtin as f

    return f.lit(None).cast(spark_ddl(field.field_type))


def _with_summary(rows: DataFrame, plan: WritePlan) -> DataFrameWriterV2:
    writer = plan.watched(rows).writeTo(plan.branch_name)
    for key, value in plan.summary.items():
        writer = writer.option(f"snapshot-property.{key}", value)
    return writer


def _overwrite_partitions(rows: DataFrame, plan: WritePlan) -> None:
    """Replace the partitions that the result has rows of.

    Iceberg compares partitions within one partitioning only, and would leave the rows of files in an earlier one
    next to the new ones (see HIVE-26133): old rows are removed first, with a snapshot of their own.
    """
    from pyspark.sql.connect.functions import builtin as f

    if plan.over_earlier:
        values = [f.expr(value.sql(plan.catalog)).alias(f"p{n}") for n, value in enumerate(plan.over_earlier)]
        target = f"branch_{plan.branch}"
        same = [f"{value.sql(plan.catalog, target)} <=> s.p{n}" for n, value in enumerate(plan.over_earlier)]
        merge = rows.select(*values).distinct().alias("s").mergeInto(plan.branch_name, f.expr(" AND ".join(same)))
        merge.whenMatched().delete().merge()
    _with_summary(rows, plan).overwritePartitions()


def _overwrite_window(spark: SparkSession, rows: DataFrame, plan: WritePlan, window: Window) -> None:
    """Replace the rows of the window, also by nothing (D6): dynamic overwrite would keep them then."""
    from pyspark.errors import PySparkException

    checked = inside_window(rows, window, plan.sink.id)
    field = next(field for field in rows.schema.fields if field.name.lower() == window.column.lower())
    inside = window.condition(field.dataType, plan.sink.id)
    if window.is_empty(field.dataType.simpleString()):
        _with_summary(checked, plan).append()  # there is nothing to replace, and any row ends the write
        return
    try:
        _with_summary(checked, plan).overwrite(inside)
    except PySparkException as error:
        if "some, but not all, rows match filter" not in str(error):
            raise
        # Files hold rows of several windows: they are rewritten. Both snapshots are on the branch, so readers
        # see either none or both of them.
        spark.sql(f"DELETE FROM {plan.branch_name} WHERE {window_sql(window, field.dataType.simpleString())}").collect()
        _with_summary(checked, plan).append()


def window_sql(window: Window, kind: str) -> str:
    """The window's condition as SQL text, for DELETE, which takes no column."""
    name = f"`{window.column}`"
    if window.start is None or window.end is None:
        keys = ", ".join("'" + key.replace("\\", "\\\\").replace("'", "\\'") + "'" for key in window.keys)
        return f"CAST({name} AS STRING) IN ({keys})"
    start, end = window.bounds(kind, "")
    return f"{name} >= {start} AND {name} < {end}"


def _merge(spark: SparkSession, rows: DataFrame, plan: WritePlan) -> None:
    from pyspark.sql.connect.functions import builtin as f

    keys = plan.sink.keys or ()
    for key in keys:
        if key.lower() not in plan.frame_columns:
            # As null it would be a key like any other.
            has = ", ".join(field.name for field in plan.frame_columns.values())
            raise DrlsError(f"sink '{plan.sink.id}' merges by '{key}', which its input lacks; it has {has}")
    single = one_row_per_key(rows, keys, [field.name for field in plan.columns])
    names = [field.name for field in plan.columns]
    given = [name for name in names if name.lower() in plan.frame_columns]
    lower = {key.lower() for key in keys}
    target = f"`branch_{plan.branch}`"
    match = " AND ".join(f"{target}.`{key}` <=> s.`{key}`" for key in keys)
    # Columns by name: `SET *` broke when another branch added a column (D10). A column that the result lacks keeps
    # its value in rows that match.
    changes = {spark_quoted(name): f.col(f"s.{spark_quoted(name)}") for name in given if name.lower() not in lower}
    values = {spark_quoted(name): f.col(f"s.{spark_quoted(name)}") for name in names}
    # Not MERGE in SQL, which needs a view: Spark 4.1 cannot plan one over an incremental read.
    merge = plan.watched(single, "s").mergeInto(plan.branch_name, f.expr(match))
    if plan.changes:
        merge = merge.whenMatched(f.col(f"s.{COLUMN}") == DELETE).delete()
    if changes:
        merge = merge.whenMatched().update(changes)
    new = f.col(f"s.{COLUMN}") == UPSERT if plan.changes else None
    merge = merge.whenNotMatched(new).insert(values)
    settings = {_CONF + key: value for key, value in plan.summary.items()}
    if plan.window is not None and plan.window.whole and plan.target_bytes <= SMALL_BYTES:
        # Spark would compute the result twice, the first time to find the files that it changes: here mostly all.
        settings[_LOOK_FIRST] = "false"
    for key, value in settings.items():
        spark.conf.set(key, value)
    try:
        merge.merge()
    finally:
        for key in settings:
            spark.conf.unset(key)


def one_row_per_key(rows: DataFrame, keys: Sequence[str], columns: Sequence[str]) -> DataFrame:
    """The rows; reading them fails where several have the same keys. `columns` are their names."""
    from pyspark.sql.connect.functions import builtin as f
    from pyspark.sql.connect.window import Window as Over

    twins = f.count(f.lit(1)).over(Over.partitionBy(*(f.col(f"`{key}`") for key in keys)))
    refuse = f.raise_error(
        f.lit(f"DRLS: the result has several rows with the same {', '.join(keys)}; merge needs one row for each key")
    ).cast("boolean")
    # In the same job as the merge, which shuffles by the keys anyway.
    counted = max(columns, key=len) + "_rows"  # a name that no column has
    single = rows.withColumn(counted, twins)
    return single.where(f.when(f.col(spark_quoted(counted)) == 1, f.lit(True)).otherwise(refuse)).drop(counted)


def inside_window(rows: DataFrame, window: Window, sink: str) -> DataFrame:
    """The rows; reading them fails where one lies outside the window. Raises DrlsError without its column."""
    from pyspark.sql.connect.functions import builtin as f

    field = next((field for field in rows.schema.fields if field.name.lower() == window.column.lower()), None)
    if field is None:
        raise DrlsError(f"sink '{sink}' has no column '{window.column}', which partitions the pipeline")
    inside = window.condition(field.dataType, sink)
    outside = f.raise_error(
        f.concat(
            f.lit("DRLS: a row is outside the run's partition: "),
            f.lit(f"{window.column} = "),
            f.coalesce(f.col(f"`{window.column}`").cast("string"), f.lit("null")),
            f.lit(f", the partition is {window.id}; filter by :partition_start and :partition_end"),
        )
    ).cast("boolean")
    return rows.where(f.when(f.coalesce(inside, f.lit(False)), f.lit(True)).otherwise(outside))


def _true():
    from pyspark.sql.connect.functions import builtin as f

    return f.lit(True)


def what_write_refused(error: Exception) -> str | None:
    """The message that a write of ours raised inside Spark, None when the error is Spark's own."""
    from drls_dagster.engine.session import first_line

    # Not where the text is only part of a plan that Spark shows.
    _, found, rest = str(error).partition("[USER_RAISED_EXCEPTION] DRLS: ")
    return first_line(ValueError(rest)).removesuffix(" SQLSTATE: P0001") if found else None
