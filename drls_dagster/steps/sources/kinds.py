"""The source kinds: one row for each kind that a pipeline file can name, whether this release reads it or not.

Add a kind: docs/how-to/extend.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drls_dagster.errors import DrlsError
from drls_dagster.steps.sources.files.source import Files
from drls_dagster.steps.sources.iceberg import IcebergTables
from drls_dagster.steps.sources.jdbc.source import Databases
from drls_dagster.steps.sources.kafka.source import Topics
from drls_dagster.steps.sources.kind import SourceKind
from drls_dagster.steps.sources.rate import Rate
from lifecycle.spec import (
    AnySource,
    FilesSource,
    IcebergSource,
    JdbcSource,
    KafkaSource,
    PipelineSpec,
    RateSource,
    SourceNode,
)


@dataclass(frozen=True)
class Row:
    """How this release treats the sources of one class; without a `kind` it refuses them."""

    spec: type[AnySource]
    kind: SourceKind[Any, Any] | None = None

    @property
    def name(self) -> str:
        """What a pipeline file writes after `kind:`."""
        return self.spec.model_fields["kind"].default


KINDS: tuple[Row, ...] = (
    Row(IcebergSource, IcebergTables()),
    Row(FilesSource, Files()),
    Row(RateSource, Rate()),
    Row(JdbcSource, Databases()),
    Row(KafkaSource, Topics()),
)
_READ = {row.name: row.kind for row in KINDS if row.kind is not None}


def find_kind(node: SourceNode) -> SourceKind[Any, Any] | None:
    """None where this release does not read sources of that kind."""
    return _READ.get(node.source.kind)


def kind_of(node: SourceNode) -> SourceKind[Any, Any]:
    """Raises DrlsError where this release does not read sources of that kind."""
    found = find_kind(node)
    if found is None:
        raise DrlsError(f"node '{node.id}': this release does not read sources of kind {node.source.kind}")
    return found


def unsupported(spec: PipelineSpec) -> Iterator[tuple[str, str]]:
    """The sources that this release does not read, each with what is wrong and the remedy."""
    *names, last = _READ
    for node in spec.sources:
        if node.source.kind not in _READ:
            remedy = f"use {', '.join(names)} or {last}"
            yield node.id, f"this release does not run sources of kind {node.source.kind}; {remedy}"
        elif (told := kind_of(node).refused(node.source)) is not None:
            yield node.id, told
