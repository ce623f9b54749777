"""The `spark` step: SQL in which upstream node ids are table names, or a Python function on DataFrames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from drls_dagster.engine.carried import carry_code
from drls_dagster.engine.step_code import load_function, told
from drls_dagster.errors import DrlsError
from drls_dagster.steps.bounds_in_sql import with_bounds
from drls_dagster.steps.version_code import locked_digest, sent_code
from drls_dagster.steps.window import Bound
from lifecycle.spec import SparkTransform, sql_parameters

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

    from drls_dagster.steps.frames import Frames
    from drls_dagster.steps.run import PipelineRun, Reads


_REMOTE = "SPARK_CONNECT_MODE_ENABLED"


class StepFailed(DrlsError):
    """The pipeline's own SQL or Python is at fault: trying again would end the same way."""


def build(frames: Frames, node: SparkTransform, reads: Reads) -> DataFrame:
    """The lazy frame of the step. Raises StepFailed where its code is at fault."""
    run = frames.run
    upstream = run.spec.upstream(node.id)
    if node.sql is not None:
        views = {name: frames.view(name, reads) for name in upstream}
        return run_sql(run.session.spark, node.sql, views, arguments_of(run, node.sql))
    digest = locked_digest(run.spec, node.entrypoint)
    inputs = {name: frames.frame(name, reads) for name in upstream}
    try:
        code = sent_code(run)
        if code is not None:
            carry_code()
        spark = run.session.spark
        with _as_remote(spark):
            function = load_function(node.python, node.entrypoint, digest, code, "transform")
            result = function(spark, **inputs)
    except DrlsError:
        raise
    except (Exception, SystemExit) as error:
        raise StepFailed(f"transform() of node '{node.id}' failed: {told(error)}") from error
    if not hasattr(result, "schema") or not hasattr(result, "writeTo"):
        raise StepFailed(f"transform() of node '{node.id}' returned {type(result).__name__}, not a DataFrame")
    return result


@contextmanager
def _as_remote(spark: SparkSession) -> Iterator[None]:
    """`pyspark.sql.functions` and types in text ask which Spark they are for: the environment, then the active session.

    Not for longer than the step's own code: an engine that this process starts would ask too.
    """
    from drls_dagster.engine.connection import make_active

    make_active(spark)
    before = os.environ.get(_REMOTE)
    os.environ[_REMOTE] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_REMOTE, None)
        else:
            os.environ[_REMOTE] = before


def arguments_of(run: PipelineRun, sql: str) -> dict[str, Any]:
    """Values for the `:name`s of a query."""
    known = {**run.parameters, **(run.window.arguments() if run.window else {})}
    missing = [name for name in sql_parameters(sql) if name not in known]
    if missing:
        raise DrlsError(f"no value for :{missing[0]}; pass --param {missing[0]}=… or a partition")
    return {name: known[name] for name in sql_parameters(sql)}


def run_sql(spark: SparkSession, sql: str, views: Mapping[str, str], values: Mapping[str, Any]) -> DataFrame:
    """`sql` with its table names bound to the views, by common table expressions around it."""
    bounds = {name: value for name, value in values.items() if isinstance(value, Bound)}
    if bounds:
        schemas = {
            name: {field.name: field.dataType.simpleString() for field in spark.table(view).schema.fields}
            for name, view in views.items()
        }
        sql = with_bounds(sql, bounds, schemas)
        values = {name: value for name, value in values.items() if name not in bounds}
    bound = ", ".join(f"`{name}` AS (SELECT * FROM `{view}`)" for name, view in views.items())
    # No line break before the query, so that Spark's errors name its lines; one after it, which ends a comment.
    text = f"WITH {bound} SELECT * FROM ({sql.strip().rstrip(';')}\n)" if bound else sql
    return spark.sql(text, args=dict(values) or None)
