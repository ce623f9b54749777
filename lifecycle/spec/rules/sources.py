"""Rules for source nodes."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.spec.errors import Problem
from lifecycle.spec.pipeline import PipelineSpec
from lifecycle.spec.rules.tables import table_name
from lifecycle.spec.sources import IcebergSource


def rules(spec: PipelineSpec) -> Iterator[Problem]:
    """Iceberg sources read real tables, and not the ones that their own pipeline writes."""
    written = {sink.table.lower(): sink.id for sink in spec.sinks}
    for node in spec.sources:
        if not isinstance(node.source, IcebergSource):
            continue
        table = node.source.table
        yield from table_name(node.id, "source.table", table)
        sink = written.get(table.lower())
        if sink is not None:
            message = f"the pipeline reads '{table}', which its sink '{sink}' writes: a circle"
            yield Problem(node.id, "source.table", message, "write another table, or read it in another pipeline")
