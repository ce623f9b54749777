"""Iceberg tables as sources: always at a pinned snapshot (D1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pyiceberg.types import TimestampNanoType, TimestamptzNanoType, TimeType

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.locating import load_if_exists, look_at
from drls_dagster.lakehouse.naming import MAIN, table_location
from drls_dagster.lakehouse.positions import At, Read, find_position, plan_changes, plan_read
from drls_dagster.steps.sources.iceberg_changes import net_changes
from drls_dagster.steps.sources.iceberg_rows import tell_rows
from drls_dagster.steps.sources.kind import Look, Mark, SourceKind, Standing
from drls_dagster.steps.sources.pins import Origin, Pin, Place, Reader, SourceMissing, SourceUnreadable
from lifecycle.domain.environment import Environment
from lifecycle.domain.run import InputRead
from lifecycle.spec import IcebergSource

_ENCODING = re.compile(r"Cannot support vectorized reads for column \[(.*?)\] .*? with encoding (\w+)")
_UNREADABLE = (TimeType, TimestampNanoType, TimestamptzNanoType)

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyspark.sql import DataFrame


def source_table(catalog: Catalog, environment: Environment, name: str) -> tuple[Table, str] | None:
    """The table that a read in `environment` takes, and the ref: the environment's own, else the real `main`."""
    look = look_at(catalog, environment, name)
    if look.table is not None and look.read is not None:
        return look.table, look.location.ref if look.own is not None else MAIN
    real = table_location(Environment.PRODUCTION, name)
    is_real = look.location.identifier == real.identifier
    found = look.table if is_real else load_if_exists(catalog, real.identifier)
    if found is not None:
        return found, MAIN
    return (look.table, look.location.ref) if look.table is not None else None


@dataclass(frozen=True)
class IcebergPin(Pin):
    """A table at a snapshot, None while it has none; `ref` is the branch that was read."""

    table: str
    uuid: str
    ref: str
    snapshot: int | None

    def stored(self) -> dict[str, Any]:
        return {"table": self.table, "uuid": self.uuid, "ref": self.ref, "snapshot": self.snapshot}

    @property
    def origin(self) -> Origin:
        return Origin(self.table, self.uuid)

    def __str__(self) -> str:
        return f"{self.table}@{self.snapshot}"


class IcebergTables(SourceKind[IcebergSource, IcebergPin]):
    """Iceberg tables, in full, or what was appended or changed behind a sink's position."""

    def pin(self, node: str, source: IcebergSource, place: Place) -> IcebergPin:
        found = source_table(place.catalog, place.environment, source.table)
        if found is None:
            where = place.environment.label
            raise SourceMissing(
                f"node '{node}': there is no table {source.table} in {where}; run the pipeline that writes it first"
            )
        table, ref = found
        snapshot = _snapshot(node, source, table, ref)
        _refuse_unreadable(node, table, snapshot)
        return IcebergPin(".".join(table.name()), str(table.metadata.table_uuid), ref, snapshot)

    def pinned(self, stored: Mapping[str, Any]) -> IcebergPin:
        return IcebergPin(stored["table"], stored["uuid"], stored["ref"], stored["snapshot"])

    def position(self, source: IcebergSource, pin: IcebergPin, place: Place, standing: Standing | None) -> Read:
        if not source.follows or standing is None:
            return Read(None, pin.snapshot)
        upstream = place.catalog.load_table(tuple(pin.table.split(".")))
        sink, table = standing.sink, standing.table
        changes = source.read == "changes"
        position = find_position(table, standing.base, upstream, sink.mode, standing.published(), changes=changes)
        plan = plan_changes if changes else plan_read
        return plan(upstream, position, pin.snapshot, sink, ".".join(table.name()) if table else sink.table)

    def read(self, reader: Reader, node: str, source: IcebergSource, pin: IcebergPin, between: Read) -> DataFrame:
        """The table at the end, or what was appended or changed between the two snapshots."""
        start, end = between.snapshots
        spark, catalog = reader.spark, reader.place.settings.catalog.name
        name = ".".join(f"`{part}`" for part in (catalog, *pin.table.split(".")))
        if source.read == "changes":
            table = reader.place.catalog.load_table(tuple(pin.table.split(".")))
            changes = net_changes(spark, table, name, source.keys or (), start, end, reader.log)
            if end is None or start is None or start == end:
                tell_rows(reader.tally, reader.place.catalog, pin, start, end)
                return changes
            return reader.tally.watch(changes)
        tell_rows(reader.tally, reader.place.catalog, pin, start, end)
        if end is None or (start is not None and start == end):
            return spark.sql(f"SELECT * FROM {name} WHERE false")
        if start is None:
            return spark.sql(f"SELECT * FROM {name} VERSION AS OF {end}")
        return (
            spark.read.format("iceberg")
            .option("start-snapshot-id", str(start))
            .option("end-snapshot-id", str(end))
            .load(name)
        )

    def explain(
        self, error: BaseException, node: str, source: IcebergSource, pin: IcebergPin, folder: str
    ) -> DrlsError | None:
        found = _ENCODING.search(str(error))
        if found is None:
            return None
        return SourceUnreadable(
            f"node '{node}': a Parquet file of {pin.table}, or of another table that the step reads, has the column "
            f"'{found[1]}' in the encoding {found[2]}, which Iceberg's vectorized reader cannot read; set the table's "
            "property `read.parquet.vectorization.enabled` to `false`, or write the file in pages of version 1"
        )

    def receipt(
        self,
        node: str,
        source: IcebergSource,
        pin: IcebergPin,
        end: At | None,
        fingerprint: Callable[[], str | None],
    ) -> InputRead:
        return InputRead(
            node=node, name=source.table, table_uuid=pin.uuid, ref=pin.ref, snapshot=cast("int | None", end)
        )

    def watched(self, source: IcebergSource) -> str | None:
        return source.table if source.read != "as_of" else None

    def marks(self, names: Iterable[str], look: Look) -> Mapping[str, Mark]:
        return look.heads(names)

    def changed(self, name: str, before: Mark, now: Mark, look: Look) -> bool:
        # Compaction rewrites what was there and brings nothing.
        since = look.plane.snapshots(name, look.environment, cast(int, now), cast("int | None", before))
        return any(one.operation != "replace" for one in since)


def _snapshot(node: str, source: IcebergSource, table: Table, ref: str) -> int | None:
    if source.snapshot is not None:
        if table.snapshot_by_id(source.snapshot) is None:
            raise SourceMissing(f"node '{node}': {'.'.join(table.name())} has no snapshot {source.snapshot}")
        return source.snapshot
    if source.timestamp is None:
        return refs.head(table, ref)
    at = table.snapshot_as_of_timestamp(int(source.timestamp.timestamp() * 1000))
    if at is None:
        raise SourceMissing(
            f"node '{node}': {'.'.join(table.name())} had no snapshot yet at {source.timestamp.isoformat()}"
        )
    return at.snapshot_id


def _refuse_unreadable(node: str, table: Table, snapshot: int | None) -> None:
    """Spark opens no table that has a column of these types, whichever columns are asked for."""
    found = None if snapshot is None else table.snapshot_by_id(snapshot)
    number = table.metadata.current_schema_id if found is None or found.schema_id is None else found.schema_id
    schema = table.schemas().get(number, table.schema())
    for name in schema.column_names:
        kind = schema.find_type(name)
        if isinstance(kind, _UNREADABLE):
            raise SourceUnreadable(
                f"node '{node}': the column '{name}' of {'.'.join(table.name())} is {kind}, which Spark "
                "cannot read, so it cannot read the table; drop the column there, or write it as text or as "
                "a timestamp"
            )
