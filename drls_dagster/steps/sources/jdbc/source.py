"""Database sources: staged once per run, then read from there by every sink and retry (D2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.positions import Read
from drls_dagster.steps.sources.jdbc.reading import Wanted, staged
from drls_dagster.steps.sources.jdbc.statements import selected
from drls_dagster.steps.sources.kind import SourceKind
from drls_dagster.steps.sources.pins import Pin, Place, Reader, SourceMissing
from drls_dagster.steps.sources.staged import own_session, read_rows, refuse_moved
from drls_dagster.steps.staging import still_there
from lifecycle.spec import JdbcSource

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class JdbcPin(Pin):
    """A connection, by its name and fingerprint, and when the run began to read it: a database keeps no more."""

    connection: str
    fingerprint: str
    at: str

    def stored(self) -> dict[str, Any]:
        return {"connection": self.connection, "fingerprint": self.fingerprint, "at": self.at}

    def __str__(self) -> str:
        return f"{self.connection} at {self.at}"


class Databases(SourceKind[JdbcSource, JdbcPin]):
    """Tables and queries of databases."""

    def pin(self, node: str, source: JdbcSource, place: Place) -> JdbcPin:
        connection = place.database(node, source.connection)
        selected(node, source.table, source.query, connection.database)
        return JdbcPin(source.connection, connection.fingerprint, datetime.now(UTC).isoformat(timespec="microseconds"))

    def pinned(self, stored: Mapping[str, Any]) -> JdbcPin:
        return JdbcPin(stored["connection"], stored["fingerprint"], stored["at"])

    def read(self, reader: Reader, node: str, source: JdbcSource, pin: JdbcPin, between: Read) -> DataFrame:
        files = reader.kept.files()
        if files is None:
            files = _stage(reader, node, source, pin)
            reader.kept.keep(files)
        elif not still_there([path for path, _, _ in files]):
            raise SourceMissing(
                f"node '{node}': the rows that this run has read from {pin} cannot be reached from here, and "
                "the database may have others now; start a new run"
            )
        reader.tally.known(sum(rows for _, rows, _ in files))
        return read_rows(reader.spark, files)

    def ui_kinds(self, source: JdbcSource) -> set[str]:
        return {"jdbc"}


def _stage(reader: Reader, node: str, source: JdbcSource, pin: JdbcPin) -> list[list[Any]]:
    connection = reader.place.database(node, source.connection)
    refuse_moved(node, connection, pin.fingerprint)
    text = selected(node, source.table, source.query, connection.database, reader.values)
    wanted = Wanted(node, text, source.partition_column, source.partitions)
    with own_session(reader.place.settings, reader.spark) as spark:
        files = staged(spark, wanted, connection, reader.folder)
    rows = sum(rows for _, rows, _ in files)
    reader.log(f"node '{node}': read {rows:,} rows of {source.subject} into {len(files)} file(s)")
    return files
