"""Rows that say what becomes of them: `_change_type` is `upsert` or `delete`, from a source to the merge below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drls_dagster.errors import DrlsError
from lifecycle.spec import IcebergSource, PipelineSpec, SinkNode

COLUMN = "_change_type"
UPSERT, DELETE = "upsert", "delete"


def takes_changes(spec: PipelineSpec, sink: SinkNode) -> bool:
    """Whether a source above the sink reads changes; the spec's rules see to it that the sink merges."""
    sources = (node.source for node in spec.sources_above(sink.id))
    return any(isinstance(source, IcebergSource) and source.read == "changes" for source in sources)


def stored(schema: Mapping[str, Any], sink: SinkNode) -> Mapping[str, Any]:
    """Spark's schema of such rows without the column. Raises DrlsError where a step above dropped it."""
    fields = schema["fields"]
    if not any(field["name"] == COLUMN for field in fields):
        raise DrlsError(
            f"sink '{sink.id}': its input has no column '{COLUMN}', so deleted rows would be written again; carry the "
            "column of the source that reads changes through every step"
        )
    return {**schema, "fields": [field for field in fields if field["name"] != COLUMN]}
