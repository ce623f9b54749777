"""The `spark` step: SQL in which upstream node ids are table names, or a Python function on DataFrames."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drls_dagster.engine.code_process import Call, CodeFailed, known_port
from drls_dagster.errors import DrlsError
from drls_dagster.steps.bounds_in_sql import with_bounds
from drls_dagster.steps.version_code import locked_digest, sent_code
from drls_dagster.steps.window import Bound, no_value
from lifecycle.spec import SparkTransform, sql_parameters

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

    from drls_dagster.steps.frames import Frames
    from drls_dagster.steps.run import PipelineRun, Reads


class StepFailed(DrlsError):
    """The pipeline's own SQL or Python is at fault: trying again would end the same way."""


def build(frames: Frames, node: SparkTransform, reads: Reads) -> DataFrame:
    """The lazy frame of the step. Raises StepFailed where its code is at fault."""
    run = frames.run
    upstream = run.spec.upstream(node.id)
    if node.sql is not None:
        views = {name: frames.view(name, reads) for name in upstream}
        return run_sql(run.session.spark, node.sql, views, arguments_of(run, node.id, node.sql))
    inputs: Any = {name: frames.frame(name, reads) for name in upstream}
    digest = locked_digest(run.spec, node.entrypoint)
    try:
        call = Call(node.id, node.python, node.entrypoint, digest, sent_code(run), inputs)
        frame = run.code.transform(run.session, call)
    except CodeFailed as error:
        raise StepFailed(str(error)) from None
    _ = frame.schema  # Spark says here what it refuses
    return frame


def prepare(run: PipelineRun) -> None:
    """Start the process of the run's own Python, where it has any, while the run waits for other things."""
    if not any(isinstance(node, SparkTransform) and node.sql is None for node in run.spec.transforms):
        return
    port = known_port(run.settings)
    if port is None and run.settings.fence.network != "open":
        return  # its fence has to name a port that nobody knows yet
    try:
        code = sent_code(run)
    except DrlsError:
        return  # the step will say it
    threading.Thread(target=run.code.start, args=(code, port), daemon=True, name=f"Python of {run.spec.name}").start()


def arguments_of(run: PipelineRun, node_id: str, sql: str) -> dict[str, Any]:
    """Values for the `:name`s in the SQL of a node, or of a check on it."""
    known = {**run.parameters, **(run.window.arguments() if run.window else {})}
    missing = [name for name in sql_parameters(sql) if name not in known]
    if missing:
        raise DrlsError(no_value(node_id, missing[0]))
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
