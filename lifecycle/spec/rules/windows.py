"""What partitions ask of the rest of a pipeline."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.spec.errors import Problem
from lifecycle.spec.pipeline import PipelineSpec
from lifecycle.spec.sources import IcebergSource, JdbcSource, KafkaSource


def rules(spec: PipelineSpec) -> Iterator[Problem]:
    """Positions and windows contradict each other, and a partition has to have a place in the table."""
    if spec.partitions is None:
        for sink in spec.sinks:
            if sink.mode == "overwrite_partitions" and not sink.partition_by:
                message = "overwrite_partitions has no partitions to replace"
                remedy = "set partition_by, or partition the pipeline, or use mode: overwrite"
                yield Problem(sink.id, "partition_by", message, remedy)
        return
    why = "continues from a position, but each run of a partitioned pipeline reads its own window"
    for node in spec.sources:
        if isinstance(node.source, IcebergSource) and node.source.follows:
            remedy = "use read: full and select the window in SQL, or remove partitions"
            yield Problem(node.id, "source.read", f"read: {node.source.read} {why}", remedy)
        elif isinstance(node.source, JdbcSource) and node.source.follows:
            remedy = "remove incremental_column and select the window in a query, or remove partitions"
            yield Problem(node.id, "source.incremental_column", f"an incremental read {why}", remedy)
        elif isinstance(node.source, KafkaSource):
            yield Problem(node.id, "source.kind", f"a kafka source {why}", "remove partitions from the pipeline")
    for step in spec.transforms:
        if step.step == "sparkStream":
            yield Problem(step.id, "step", f"a stream {why}", "use step: spark, or remove partitions")
