"""Database sources: staged once per run, then read from there by every sink and retry (D2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from drls_dagster.connections.opened import OpenedConnection
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.column_positions import ends_behind, position_from
from drls_dagster.lakehouse.positions import POSITIONS, RESET, PositionLost, Read, position_of, sources_of
from drls_dagster.steps.sources.jdbc.following import (
    Followed,
    followed,
    known_database,
    narrowed,
    refuse_late,
)
from drls_dagster.steps.sources.jdbc.reading import Wanted, staged
from drls_dagster.steps.sources.jdbc.statements import selected
from drls_dagster.steps.sources.kind import SourceKind, Standing
from drls_dagster.steps.sources.pins import Origin, Pin, Place, Reader, SourceMissing
from drls_dagster.steps.sources.staged import own_session, read_rows, refuse_moved
from drls_dagster.steps.staging import forget, still_there
from lifecycle.spec import JdbcSource

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession


@dataclass(frozen=True)
class JdbcPin(Pin):
    """A connection, by its name and fingerprint, and when the run began to read it: a database keeps no more."""

    connection: str
    fingerprint: str
    at: str
    followed: Followed | None = None

    def stored(self) -> dict[str, Any]:
        more = {} if self.followed is None else self.followed.stored()
        return {"connection": self.connection, "fingerprint": self.fingerprint, "at": self.at, **more}

    @property
    def origin(self) -> Origin | None:
        return None if self.followed is None else Origin(self.followed.name, self.followed.id)

    def __str__(self) -> str:
        told = f"{self.connection} at {self.at}"
        if self.followed is None or self.followed.high is None:
            return told
        return f"{told}, up to {self.followed.order.column} = {self.followed.high.value}"


class Databases(SourceKind[JdbcSource, JdbcPin]):
    """Tables and queries of databases."""

    def pin(self, node: str, source: JdbcSource, place: Place) -> JdbcPin:
        connection = place.database(node, source.connection)
        selected(node, source.table, source.query, connection.database)
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        return JdbcPin(source.connection, connection.fingerprint, at, _followed(node, source, connection, place))

    def pinned(self, stored: Mapping[str, Any]) -> JdbcPin:
        return JdbcPin(stored["connection"], stored["fingerprint"], stored["at"], Followed.read_back(stored))

    def position(self, source: JdbcSource, pin: JdbcPin, place: Place, standing: Standing | None) -> Read:
        at = pin.followed
        if at is None:
            return Read(None, None)
        end = None if at.high is None else at.high.text
        if standing is None:
            return Read(None, end)
        table, base = standing.table, standing.base
        found = position_of(table, base, at.name, at.id, None, standing.published())
        sink = ".".join(table.name()) if table is not None else standing.sink.table
        remedy = f"decide with `drls table reset-position {sink} {at.name} --to start|VALUE`"
        if found is None:
            if standing.sink.mode == "append" and table is not None:
                _refuse_elsewhere(table, base, at, place, remedy)
            return Read(None, end)
        start, high = ends_behind(position_from(str(found)), at.high, at.order, at.name, remedy)
        return Read(start.text, high.text)

    def read(self, reader: Reader, node: str, source: JdbcSource, pin: JdbcPin, between: Read) -> DataFrame:
        files = reader.kept.files()
        if files is None:
            files = _stage(reader, node, source, pin, between)
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


def _followed(node: str, source: JdbcSource, connection: OpenedConnection, place: Place) -> Followed | None:
    if not source.follows:
        return None
    known_database(node, connection)
    text = selected(node, source.table, source.query, connection.database, place.values)
    with own_session(place.settings, place.session()) as spark:
        return followed(spark, node, source, connection, text)


def _refuse_elsewhere(table: Table, base: int | None, at: Followed, place: Place, remedy: str) -> None:
    """Raises PositionLost where the sink has read the same node from another database in this environment (D4).

    Other environments may have databases of their own, and a branch begins behind a snapshot of theirs.
    """
    if base is None or any(RESET + one in table.properties for one in (at.name, at.id)):
        return
    stem = at.name.rpartition("@")[0] + "@"
    for snapshot in refs.ancestors(table, base):
        told = refs.summary(snapshot)
        if POSITIONS in told and told.get("drls.environment") == str(place.environment):
            if any(name.startswith(stem) for name in sources_of(told)):
                raise PositionLost(
                    f"{at.name} is in another database than the one that the sink has read, so all its rows would be "
                    f"appended; {remedy}"
                )
            return


def _stage(reader: Reader, node: str, source: JdbcSource, pin: JdbcPin, between: Read) -> list[list[Any]]:
    connection = reader.place.database(node, source.connection)
    refuse_moved(node, connection, pin.fingerprint)
    text = selected(node, source.table, source.query, connection.database, reader.values)
    at = pin.followed
    with own_session(reader.place.settings, reader.spark) as spark:
        if at is None:
            files = staged(
                spark, Wanted(node, text, source.partition_column, source.partitions), connection, reader.folder
            )
        else:
            files = _stage_behind(spark, reader, node, source, connection, text, at, between)
    rows = sum(rows for _, rows, _ in files)
    reader.log(f"node '{node}': read {rows:,} rows of {source.subject} into {len(files)} file(s)")
    return files


def _stage_behind(
    spark: SparkSession,
    reader: Reader,
    node: str,
    source: JdbcSource,
    connection: OpenedConnection,
    text: str,
    at: Followed,
    between: Read,
) -> list[list[Any]]:
    database = known_database(node, connection)
    start, end = (None if one is None else position_from(str(one)) for one in (between.start, between.end))
    rows = narrowed(text, at, database, (start, end))
    files = staged(spark, Wanted(node, rows, source.partition_column, source.partitions), connection, reader.folder)
    try:
        refuse_late(spark, node, connection, text, at, (start, end))
    except BaseException:
        forget(files[0][0].rpartition("/")[0])
        raise
    return files
