"""Sources: pinned once per run, then read as pinned (D1). One file per kind."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.steps.sources.files import listing, read_files, refuse_changed
from drls_dagster.steps.sources.iceberg import pin_iceberg, read_iceberg, source_table
from drls_dagster.steps.sources.pins import Pin, SourceMissing
from drls_dagster.steps.sources.rate import read_rate
from lifecycle.spec import FilesSource, IcebergSource, RateSource, SourceNode

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

__all__ = [
    "Pin",
    "SourceMissing",
    "describe_pin",
    "pin_source",
    "read_source",
    "refuse_changed",
    "source_table",
]


def pin_source(node: SourceNode, environment: str, catalog: Catalog, landing: str) -> Pin:
    """What the node stands for in this run, as JSON: a snapshot, or a listing with sizes and times."""
    source = node.source
    if isinstance(source, IcebergSource):
        return pin_iceberg(node.id, source, environment, catalog)
    if isinstance(source, FilesSource):
        return {"files": listing(node.id, source.path, landing)}
    if isinstance(source, RateSource):
        return {"second": int(time.time())}
    raise DrlsError(f"node '{node.id}': this release does not read sources of kind {source.kind}")


def read_source(spark: SparkSession, node: SourceNode, pin: Pin, start: int | None, end: int | None) -> DataFrame:
    """The rows of a pinned source; an incremental one from behind `start`, up to `end`."""
    source = node.source
    if isinstance(source, FilesSource):
        return read_files(spark, node.id, source, pin["files"])
    if isinstance(source, RateSource):
        return read_rate(spark, source, pin["second"])
    return read_iceberg(spark, pin, start, end)


def describe_pin(pin: Pin) -> str:
    """For people: `sales.orders@123` or `12 files, 3.4 MB`."""
    if "table" in pin:
        return f"{pin['table']}@{pin['snapshot']}"
    if "files" in pin:
        return f"{len(pin['files'])} file(s), {sum(size for _, size, _ in pin['files']):,} bytes"
    return datetime.fromtimestamp(pin["second"], UTC).isoformat()
