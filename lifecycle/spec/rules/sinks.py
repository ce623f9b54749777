"""Rules for sink nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lifecycle.spec.custom import CustomTransform
from lifecycle.spec.dbt import DbtTransform
from lifecycle.spec.errors import Problem, did_you_mean, shorten
from lifecycle.spec.pipeline import PipelineSpec
from lifecycle.spec.rules.tables import table_name
from lifecycle.spec.sinks import SinkNode
from lifecycle.spec.sources import IcebergSource
from lifecycle.spec.steps import SparkStreamTransform

# Only how files are written. Not where, and not what belongs to DRLS (branches, cleaning, format).
ALLOWED_PROPERTIES = frozenset(
    """comment
    write.format.default write.target-file-size-bytes write.distribution-mode write.spark.fanout.enabled
    write.delete.mode write.update.mode write.merge.mode write.delete.distribution-mode
    write.update.distribution-mode write.merge.distribution-mode write.delete.isolation-level
    write.update.isolation-level write.merge.isolation-level write.delete.target-file-size-bytes
    write.parquet.compression-codec write.parquet.compression-level write.parquet.row-group-size-bytes
    write.parquet.page-size-bytes write.parquet.page-row-limit write.parquet.dict-size-bytes
    write.parquet.bloom-filter-max-bytes write.orc.compression-codec write.orc.compression-strategy
    write.avro.compression-codec write.metadata.compression-codec write.metadata.metrics.default
    write.metadata.metrics.max-inferred-column-defaults write.metadata.delete-after-commit.enabled
    write.metadata.previous-versions-max read.split.target-size read.parquet.vectorization.enabled
    commit.retry.num-retries commit.retry.min-wait-ms commit.retry.max-wait-ms
    commit.retry.total-timeout-ms commit.manifest.target-size-bytes commit.manifest.min-count-to-merge
    commit.manifest-merge.enabled""".split()  # noqa: SIM905
)
ALLOWED_PREFIXES = (
    "write.metadata.metrics.column.",
    "write.parquet.bloom-filter-enabled.column.",
    "write.parquet.bloom-filter-fpp.column.",
)


def rules(spec: PipelineSpec) -> Iterator[Problem]:
    """One writer per table, a mode that fits, and nothing that would lose or repeat rows."""
    writers = Counter(sink.table.lower() for sink in spec.sinks)
    for sink in spec.sinks:
        yield from table_name(sink.id, "table", sink.table)
        if writers[sink.table.lower()] > 1:
            others = [
                other.id for other in spec.sinks if other.table.lower() == sink.table.lower() and other is not sink
            ]
            message = f"'{sink.table}' is also written by '{others[0]}'"
            yield Problem(
                sink.id,
                "table",
                message,
                "only one sink may write a table: write another table, or join before one sink",
            )
        yield from _mode(sink)
        yield from _repeats(spec, sink)
        yield from _changes(spec, sink)
        yield from _layout(sink)
        yield from _properties(sink)
        yield from _columns(spec, sink)


def _mode(sink: SinkNode) -> Iterator[Problem]:
    if sink.mode == "merge" and not sink.keys:
        yield Problem(sink.id, "keys", "merge needs the columns that identify a row", "write keys: [column, …]")
    if sink.mode != "merge" and sink.keys:
        yield Problem(sink.id, "keys", f"mode: {sink.mode} takes no keys", "write mode: merge, or remove keys")
    if sink.mode != "append" and sink.repeat:
        yield Problem(sink.id, "repeat", f"mode: {sink.mode} takes no repeat", "remove it: only append repeats rows")


def _repeats(spec: PipelineSpec, sink: SinkNode) -> Iterator[Problem]:
    """D5: an append fed only by full sources writes the same rows again each run."""
    if sink.mode != "append" or sink.repeat:
        return
    sources = spec.sources_above(sink.id)
    above = [spec.node(name) for name in spec.ancestors(sink.id)]
    streams = any(isinstance(node, SparkStreamTransform) for node in above)
    # A command without inputs is a source of its own.
    commands = [
        node for node in above if isinstance(node, CustomTransform | DbtTransform) and not spec.upstream(node.id)
    ]
    if (sources or commands) and all(node.source.full for node in sources) and not streams:
        names = ", ".join(f"'{node.id}'" for node in (*sources, *commands))
        message = f"each run would append all rows of {names} again"
        remedy = "use read: incremental, or mode: merge or overwrite, or set repeat: true"
        yield Problem(sink.id, "mode", message, remedy)


def _changes(spec: PipelineSpec, sink: SinkNode) -> Iterator[Problem]:
    """D5: only a merge can apply updates and deletes."""
    if sink.mode == "merge":
        return
    for node in spec.sources_above(sink.id):
        if isinstance(node.source, IcebergSource) and node.source.read == "changes":
            message = f"mode: {sink.mode} cannot apply the updates and deletes that '{node.id}' reads"
            yield Problem(sink.id, "mode", message, f"use mode: merge with keys, or read: full in '{node.id}'")


def _layout(sink: SinkNode) -> Iterator[Problem]:
    for field, names in (
        ("keys", [name.lower() for name in sink.keys or ()]),
        ("sort_by", [item.column.lower() for item in sink.sort_by]),
        ("partition_by", [item.text().lower() for item in sink.partition_by]),
    ):
        twin = next((name for name, count in Counter(names).items() if count > 1), None)
        if twin:
            yield Problem(sink.id, field, f"'{twin}' appears twice", "remove one of them")


def _properties(sink: SinkNode) -> Iterator[Problem]:
    for name, value in sink.properties.items():
        where = f"properties.{shorten(name)}"
        if name not in ALLOWED_PROPERTIES and not name.startswith(ALLOWED_PREFIXES):
            remedy = did_you_mean(name, ALLOWED_PROPERTIES) or (
                "set only properties that control how files are written"
            )
            yield Problem(sink.id, where, "the table property may not be set by a pipeline", remedy)
        elif not value or len(value) > 1000:
            yield Problem(sink.id, where, "the value is empty or very long", "write the value that Iceberg documents")


def _columns(spec: PipelineSpec, sink: SinkNode) -> Iterator[Problem]:
    """The columns a sink names must be among those that its input declares, where it declares them."""
    inputs = [node for node in spec.nodes if node.id in spec.upstream(sink.id)]
    declared = getattr(inputs[0], "output_schema", None) if len(inputs) == 1 else None
    if declared is None:
        return
    known = {name.lower() for name in declared}
    for column in dict.fromkeys(sink.columns):
        if column.split(".")[0].lower() not in known:
            remedy = did_you_mean(column, declared) or f"use one of {', '.join(list(declared)[:10])}"
            message = f"the column '{column}' is not in the output_schema of '{inputs[0].id}'"
            yield Problem(sink.id, "columns", message, remedy)
