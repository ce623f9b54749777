"""The `deadLetters` step: the messages that the Kafka source above it has set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.columns import spark_ddl_of_spec
from drls_dagster.steps.sources.kafka import set_aside
from drls_dagster.steps.sources.kafka.source import KafkaPin
from drls_dagster.steps.sources.staged import read_rows
from lifecycle.spec import DeadLettersTransform, KafkaSource, SourceNode
from lifecycle.spec.dead_letters import COLUMNS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from drls_dagster.steps.frames import Frames
    from drls_dagster.steps.run import Reads


def build(frames: Frames, node: DeadLettersTransform, reads: Reads) -> DataFrame:
    """One row for each message."""
    run = frames.run
    (name,) = run.spec.upstream(node.id)
    above = run.spec.node(name)
    source = above.source if isinstance(above, SourceNode) else None
    if not isinstance(source, KafkaSource) or not isinstance(reads[name].pin, KafkaPin):
        return run.session.spark.createDataFrame([], spark_ddl_of_spec(COLUMNS))  # rows that a test gives all fit
    frames.frame(name, reads)  # stages the messages where no other node has
    files = run.memory.output(name, frames.key(name, reads))
    if files is None:
        raise DrlsError(f"node '{node.id}': the messages of '{name}' were not staged; start a new run")
    return set_aside.letters(read_rows(run.session.spark, files), source)
