"""What people see of a failed run: the first rows that a check failed on, and the columns that its sources had.

It goes to the ledger, where only who may see the pipeline gets it: Dagster's events are without data.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drls_dagster.ledger import About
from drls_dagster.steps.checks import Finding, failing_rows, named_columns
from drls_dagster.steps.shown import without_places
from drls_dagster.steps.spark import arguments_of, run_sql
from drls_dagster.steps.sql_check_rows import query_behind
from lifecycle.spec import AnyCheck, SourceNode, SqlCheck, Unique

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from drls_dagster.steps.frames import Frames
    from drls_dagster.steps.run import PipelineRun, Reads

ROWS, COLUMNS, LONGEST = 5, 12, 200  # a check's first rows, their columns, characters of a value
MOST_COLUMNS = 400  # of a source
_ROOM = 30_000


def tell_bad_rows(
    run: PipelineRun,
    node: str,
    frame: DataFrame,
    checks: Sequence[tuple[str, AnyCheck]],
    findings: Sequence[Finding],
    view: str,
) -> None:
    """Looks up the first rows of each check that failed: one Spark job each, none where every check passes.

    SQL checks see the rows as `view`.
    """
    from pyspark.errors import PySparkException

    found: dict[str, Any] = {}
    for (name, check), finding in zip(checks, findings, strict=True):
        if finding.passed:
            continue
        try:
            told = _rows_of_sql(run, node, check, view) if isinstance(check, SqlCheck) else _rows_of(run, frame, check)
        except PySparkException as error:
            # The check has failed, and that is what must be said; its rows only help.
            run.log(f"check '{name}': its rows cannot be shown ({type(error).__name__})")
            continue
        if told is not None and len(json.dumps({**found, name: told})) < _ROOM:
            found[name] = told
    if found:
        run.memory.note(node, About.ROWS, found)


def tell_columns(frames: Frames, node: str, reads: Reads) -> None:
    """The columns of the sources that a step reads, before it can fail on them."""
    for name in frames.run.spec.upstream(node):
        if isinstance(frames.run.spec.node(name), SourceNode):
            fields = frames.frame(name, reads).schema.fields[:MOST_COLUMNS]
            columns = [[field.name[:LONGEST], field.dataType.simpleString()[:LONGEST]] for field in fields]
            frames.run.memory.note(name, About.COLUMNS, columns)


def _rows_of(run: PipelineRun, frame: DataFrame, check: AnyCheck) -> dict[str, Any] | None:
    """The first rows that fail; None for a check that is not about single rows."""
    from pyspark.sql.connect.functions import builtin as f

    named = [next(one for one in frame.columns if one.lower() == name.lower()) for name in named_columns(check)]
    if isinstance(check, Unique):
        columns = [*named, "rows"]
        keys = [f.col(f"`{name}`") for name in named]
        rows = frame.groupBy(*keys).agg(f.count(f.lit(1)).alias("__rows")).where("__rows > 1").orderBy(*keys)
        shown = [*keys, f.col("__rows")]
    else:
        failing = failing_rows(check, frame)
        if failing is None:
            return None
        columns = list(dict.fromkeys([*named, *frame.columns]))[:COLUMNS]
        rows = frame.where(failing)
        shown = [f.col(f"`{name}`") for name in columns]
    return {"columns": columns, "rows": _first(run, rows, shown)}


def _rows_of_sql(run: PipelineRun, node: str, check: SqlCheck, view: str) -> dict[str, Any] | None:
    """The rows that the check's SQL counts, or the numbers that it compares; None where it says neither."""
    from pyspark.sql.connect.functions import builtin as f

    query = query_behind(check.sql)
    if query is None:
        return None
    rows = run_sql(run.session.spark, query, {node: view}, arguments_of(run, node, query))
    names = list(rows.columns)[:COLUMNS]
    rows = rows.toDF(*(f"c{at}" for at in range(len(rows.columns))))
    found = _first(run, rows, [f.col(f"c{at}") for at in range(len(names))])
    return {"columns": [name[:LONGEST] for name in names], "rows": found} if found else None


def _first(run: PipelineRun, rows: DataFrame, shown: Sequence[Column]) -> list[list[str | None]]:
    from pyspark.sql.connect.functions import builtin as f

    texts = [f.substring(column.cast("string"), 1, LONGEST).alias(f"c{n}") for n, column in enumerate(shown)]
    values = rows.limit(ROWS).select(*texts).collect()
    return [[_text(run, value) for value in row] for row in values]


def _text(run: PipelineRun, value: str | None) -> str | None:
    return None if value is None else without_places(value, run.settings)
