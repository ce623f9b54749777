"""Sources: pinned once per run, then read as pinned (D1). One file per kind."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.steps.sources import files
from drls_dagster.steps.sources.explaining import explained
from drls_dagster.steps.sources.iceberg import pin_iceberg, read_iceberg, source_table
from drls_dagster.steps.sources.pins import Pin, Place, Reader, SourceMissing, SourceUnreadable
from drls_dagster.steps.sources.rate import read_rate
from lifecycle.spec import FilesSource, IcebergSource, RateSource, SourceNode

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyspark.sql import DataFrame

__all__ = [
    "Pin",
    "Place",
    "Reader",
    "SourceMissing",
    "SourceUnreadable",
    "describe_pin",
    "explained",
    "pin_source",
    "read_source",
    "refuse_changed",
    "source_table",
]


def pin_source(node: SourceNode, catalog: Catalog, place: Place) -> Pin:
    """What the node stands for in this run, as JSON: a snapshot, or a listing with sizes and times."""
    source = node.source
    if isinstance(source, IcebergSource):
        return pin_iceberg(node.id, source, place.environment, catalog)
    if isinstance(source, FilesSource):
        return files.pin_files(node.id, source, place)
    if isinstance(source, RateSource):
        return {"second": int(time.time())}
    raise DrlsError(f"node '{node.id}': this release does not read sources of kind {source.kind}")


def read_source(reader: Reader, node: SourceNode, pin: Pin, start: int | None, end: int | None) -> DataFrame:
    """The rows of a pinned source; an incremental one from behind `start`, up to `end`."""
    source = node.source
    if isinstance(source, FilesSource):
        from pyspark.errors import PySparkException

        try:
            return files.read_files(reader, node, source, pin)
        except PySparkException as error:  # where columns are looked for, Spark reads
            refuse_changed(node, pin)
            told = explained(error, node, pin, reader.folder)
            if told is None:
                raise
            raise told from None
    if isinstance(source, RateSource):
        return read_rate(reader.spark, source, pin["second"])
    return read_iceberg(reader.spark, pin, start, end)


def refuse_changed(node: SourceNode, pin: Pin) -> None:
    """Raises SourceMissing where a pinned source is not what it was (D1)."""
    if isinstance(node.source, FilesSource):
        files.refuse_changed(node, pin)


def describe_pin(pin: Pin) -> str:
    """For people: `sales.orders@123` or `12 files, 3.4 MB`."""
    if "table" in pin:
        return f"{pin['table']}@{pin['snapshot']}"
    if "files" in pin:
        return f"{len(pin['files'])} file(s), {sum(size for _, size, _ in pin['files']):,} bytes"
    return datetime.fromtimestamp(pin["second"], UTC).isoformat()
