"""Iceberg tables as sources: always at a pinned snapshot (D1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.types import TimestampNanoType, TimestamptzNanoType, TimeType

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.locating import find, load_if_exists
from drls_dagster.lakehouse.naming import table_location
from drls_dagster.steps.sources.pins import Pin, SourceMissing, SourceUnreadable
from lifecycle.domain.environment import Environment
from lifecycle.spec import IcebergSource

_UNREADABLE = (TimeType, TimestampNanoType, TimestamptzNanoType)

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession


def source_table(catalog: Catalog, environment: str, name: str) -> tuple[Table, str] | None:
    """The table that a read in `environment` takes, and the ref: the environment's own, else the real `main`."""
    own, table = find(catalog, environment, name)
    if table is not None and refs.read_head(table, own.ref) is not None:
        return table, own.ref if refs.head(table, own.ref) is not None else "main"
    real = table_location("production", name)
    found = load_if_exists(catalog, real.identifier)
    if found is not None:
        return found, "main"
    return (table, own.ref) if table is not None else None


def pin_iceberg(node: str, source: IcebergSource, environment: str, catalog: Catalog) -> Pin:
    found = source_table(catalog, environment, source.table)
    if found is None:
        where = Environment(environment).label
        raise SourceMissing(
            f"node '{node}': there is no table {source.table} in {where}; run the pipeline that writes it first"
        )
    table, ref = found
    snapshot = refs.head(table, ref)
    if source.snapshot is not None:
        if table.snapshot_by_id(source.snapshot) is None:
            raise SourceMissing(f"node '{node}': {'.'.join(table.name())} has no snapshot {source.snapshot}")
        snapshot = source.snapshot
    elif source.timestamp is not None:
        at = table.snapshot_as_of_timestamp(int(source.timestamp.timestamp() * 1000))
        if at is None:
            raise SourceMissing(
                f"node '{node}': {'.'.join(table.name())} had no snapshot yet at {source.timestamp.isoformat()}"
            )
        snapshot = at.snapshot_id
    _refuse_unreadable(node, table, snapshot)
    return {
        "table": ".".join(table.name()),
        "uuid": str(table.metadata.table_uuid),
        "ref": ref,
        "snapshot": snapshot,
    }


def _refuse_unreadable(node: str, table: Table, snapshot: int | None) -> None:
    """Spark opens no table that has a column of these types, whichever columns are asked for."""
    found = None if snapshot is None else table.snapshot_by_id(snapshot)
    number = table.metadata.current_schema_id if found is None or found.schema_id is None else found.schema_id
    schema = table.schemas().get(number, table.schema())
    for name in schema.column_names:
        kind = schema.find_type(name)
        if isinstance(kind, _UNREADABLE):
            raise SourceUnreadable(
                f"node '{node}': the column '{name}' of {'.'.join(table.name())} is {kind}, which Spark does not read, "
                "and so not the table; drop the column there, or have it written as text or as a timestamp"
            )


def read_iceberg(spark: SparkSession, pin: Pin, start: int | None, end: int | None) -> DataFrame:
    """The table at `end`, or what was appended between `start` and `end`."""
    name = ".".join(f"`{part}`" for part in (pin["catalog"], *pin["table"].split(".")))
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
