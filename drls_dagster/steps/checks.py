"""Checks of monitors, evaluated on a frame: one Spark job for all that aggregate, plus one for each SQL check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drls_dagster.steps.check_types import misfit
from drls_dagster.steps.spark import StepFailed, run_sql
from lifecycle.domain.run import CheckResult
from lifecycle.spec import (
    AcceptedValues,
    AnyCheck,
    Freshness,
    IcebergSource,
    NotNull,
    PipelineSpec,
    Range,
    RowCount,
    SourceNode,
    SqlCheck,
    Unique,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.connect.session import SparkSession

Checks = list[tuple[str, AnyCheck]]
AT_ONCE = 4  # SQL checks alongside the aggregates
AHEAD = 300  # seconds that the clock of another machine may be ahead
EARLIEST_ZONE = 14 * 3600  # a date or wall clock may be of the zone in which the day begins first


@dataclass(frozen=True)
class Finding:
    """What a check found. `observed` is its measure: a number of rows, or of failing rows."""

    name: str
    kind: str
    passed: bool
    blocking: bool
    observed: int | float | str | None
    message: str


def checks_of(spec: PipelineSpec, node_id: str) -> Checks:
    """All checks on a node, named for Dagster: with the monitor's name where several watch the node, and with the
    pipeline's on a table that it only reads, which other pipelines may check too.
    """
    monitors = spec.monitors_of(node_id)
    node = spec.node(node_id)
    shared = isinstance(node, SourceNode) and isinstance(node.source, IcebergSource)
    prefix = f"{spec.name}_" if shared else ""
    return [
        (f"{prefix}{monitor.id}_{check.name}" if len(monitors) > 1 else f"{prefix}{check.name}", check)
        for monitor in monitors
        for check in monitor.checks
    ]


def evidence_of(spec: PipelineSpec, node_id: str, results: Sequence[Finding]) -> tuple[CheckResult, ...]:
    """The results of a node's checks under the names that evidence goes by: monitor and check.

    `results` are in the order of the node's monitors and their checks.
    """
    names = [(monitor.id, check.name) for monitor in spec.monitors_of(node_id) for check in monitor.checks]
    return tuple(
        CheckResult(node=monitor, check=check, passed=one.passed, blocking=one.blocking, observed=str(one.observed))
        for (monitor, check), one in zip(names, results, strict=True)
    )


def evaluate(
    spark: SparkSession,
    frame: DataFrame,
    node: str,
    checks: Sequence[tuple[str, AnyCheck]],
    view: str,
    arguments: Callable[[str], Mapping[str, Any]],
) -> list[Finding]:
    """The result of each (name, check) on `frame`, which SQL checks see as the table `node`.

    Raises StepFailed where a check cannot be evaluated: it names a column that is not there, or its SQL is wrong.
    """
    from pyspark.sql.connect.functions import builtin as f

    columns = {name.lower() for name in frame.columns}
    kinds = {field.name.lower(): field.dataType.simpleString() for field in frame.schema.fields}
    measures: dict[str, Column] = {}
    for name, check in checks:
        for column in named_columns(check):
            if column.lower() not in columns:
                raise StepFailed(
                    f"check '{name}' names column '{column}', which '{node}' does not have; it has "
                    f"{', '.join(frame.columns)}"
                )
        wrong = misfit(check, kinds)
        if wrong:
            raise StepFailed(f"check '{name}' on '{node}' {wrong}")
        measure = _measure(check, frame)
        if measure is not None:
            measures[name] = measure
    # Each waits for Spark most of the time, so that they may as well wait together.
    pool = ThreadPoolExecutor(max_workers=AT_ONCE)
    try:
        asked = {
            name: pool.submit(_sql_result, spark, node, name, check, view, arguments)
            for name, check in checks
            if isinstance(check, SqlCheck)
        }
        row: Mapping[str, Any] = {}
        if measures:
            aliased = [measure.alias(f"m{number}") for number, measure in enumerate(measures.values())]
            values = frame.agg(f.count(f.lit(1)).alias("rows"), *aliased).collect()[0]
            row = {name: values[f"m{number}"] for number, name in enumerate(measures)}
        return [
            asked[name].result() if name in asked else _result(name, check, row[name], kinds) for name, check in checks
        ]
    finally:
        # Nobody waits here for a query whose answer is no longer wanted; it ends with the session.
        pool.shutdown(wait=False, cancel_futures=True)


def failing_rows(check: AnyCheck, frame: DataFrame) -> Column | None:
    """The condition that a row fails the check on; None for checks that are not about single rows."""
    from pyspark.sql.connect.functions import builtin as f

    def typed(value: object, column: str) -> Column:
        kind = next(field.dataType for field in frame.schema.fields if field.name.lower() == column.lower())
        return f.lit(value).cast(kind)

    if isinstance(check, NotNull):
        some_null = f.lit(False)
        for column in check.columns:
            some_null = some_null | f.col(f"`{column}`").isNull()
        return some_null
    if isinstance(check, AcceptedValues):
        column = f.col(f"`{check.column}`")
        accepted = column.isin(*(typed(value, check.column) for value in check.values))
        return column.isNotNull() & ~accepted
    if isinstance(check, Range):
        column = f.col(f"`{check.column}`")
        outside = f.lit(False)
        if check.min is not None:
            outside = outside | (column < typed(check.min, check.column))
        if check.max is not None:
            outside = outside | (column > typed(check.max, check.column))
        # NaN is larger than every number to Spark, and in no range to people. Said in so many words, because Iceberg
        # leaves files out by their bounds, which know nothing of NaN.
        if _is_floating(check.column, frame):
            outside = outside | f.isnan(column)
        return column.isNotNull() & outside
    return None


def _is_floating(column: str, frame: DataFrame) -> bool:
    kind = next(field.dataType for field in frame.schema.fields if field.name.lower() == column.lower())
    return kind.typeName() in {"double", "float"}


def named_columns(check: AnyCheck) -> tuple[str, ...]:
    """The columns that a check needs."""
    if isinstance(check, NotNull | Unique):
        return check.columns
    if isinstance(check, AcceptedValues | Range | Freshness):
        return (check.column,)
    return ()


def _measure(check: AnyCheck, frame: DataFrame) -> Column | None:
    from pyspark.sql.connect.functions import builtin as f

    if isinstance(check, RowCount):
        return f.count(f.lit(1))
    if isinstance(check, Unique):
        key = f.struct(*(f.col(f"`{column}`") for column in check.columns))
        return f.count(f.lit(1)) - f.count_distinct(key)
    if isinstance(check, Freshness):
        newest = f.max(f.col(f"`{check.column}`").cast("timestamp"))
        return f.unix_timestamp(f.current_timestamp()) - f.unix_timestamp(newest)
    failing = failing_rows(check, frame)
    return None if failing is None else f.coalesce(f.sum(f.when(failing, 1).otherwise(0)), f.lit(0))


def _result(name: str, check: AnyCheck, value: Any, kinds: Mapping[str, str]) -> Finding:
    passed = value == 0
    message = f"{value:,} row(s) fail" if value else "every row passes"
    if isinstance(check, RowCount):
        passed = (check.min is None or value >= check.min) and (check.max is None or value <= check.max)
        low = "" if check.min is None else f"at least {check.min:,}"
        high = "" if check.max is None else f"at most {check.max:,}"
        message = f"{value:,} row(s), expected {' and '.join(filter(None, (low, high)))}"
    elif isinstance(check, Unique):
        message = f"{value:,} duplicate row(s)" if value else "no duplicate rows"
    elif isinstance(check, Freshness):
        zoned = kinds[check.column.lower()] == "timestamp"
        early = AHEAD if zoned else AHEAD + EARLIEST_ZONE
        passed = value is not None and -early <= value <= check.within
        age = "there is no value" if value is None else f"the newest is {value:,} s old"
        if value is not None and value < 0:
            age = f"the newest is {-value:,} s in the future"
        message = f"{age}, expected at most {check.within:g} s" + (
            f" and {early:,} s ahead" if age.endswith("future") else ""
        )
    return Finding(name, check.kind, passed, check.severity == "blocking", value, message)


def _sql_result(
    spark: SparkSession,
    node: str,
    name: str,
    check: SqlCheck,
    view: str,
    arguments: Callable[[str], Mapping[str, Any]],
) -> Finding:
    from pyspark.errors import AnalysisException, ParseException

    from drls_dagster.engine.spark_errors import explain

    try:
        rows = run_sql(spark, check.sql, {node: view}, arguments(check.sql)).take(2)
    except (AnalysisException, ParseException) as error:
        raise StepFailed(f"check '{name}' of {explain(error, node)}") from None
    if len(rows) != 1 or len(rows[0]) != 1 or not isinstance(rows[0][0], bool | None):
        raise StepFailed(
            f"check '{name}': its SQL must return one row with one boolean, for example SELECT count(*) = 0 …"
        )
    passed = rows[0][0] is True
    message = "true" if passed else "null, which is not true" if rows[0][0] is None else "false"
    return Finding(name, check.kind, passed, check.severity == "blocking", message, f"the query returned {message}")
