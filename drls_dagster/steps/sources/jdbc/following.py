"""Following rows of a database by a column whose values only grow: up to where they go, and what no read would see."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from drls_dagster.connections.databases import Database, address_of
from drls_dagster.connections.opened import OpenedConnection
from drls_dagster.lakehouse.column_positions import PREFIX, ColumnPosition, Kind, Order, position_from
from drls_dagster.steps.sources.jdbc.asking import Asked
from drls_dagster.steps.sources.jdbc.values import value_in
from drls_dagster.steps.sources.pins import SourceMissing, SourceUnreadable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession
    from pyspark.sql.types import StructField

    from lifecycle.spec import JdbcSource

Ends = tuple[ColumnPosition | None, ColumnPosition | None]


@dataclass(frozen=True)
class Followed:
    """What a sink's position in a source is kept by, and the highest that the source has; None while it has no rows."""

    name: str
    id: str
    order: Order
    high: ColumnPosition | None

    def stored(self) -> dict[str, Any]:
        high = None if self.high is None else self.high.text
        return {"source": self.name, "source_id": self.id, "order": asdict(self.order), "high": high}

    @staticmethod
    def read_back(stored: Mapping[str, Any]) -> Followed | None:
        """What `stored` gave; None for a source that is read in full."""
        if "source_id" not in stored:
            return None
        high = None if stored["high"] is None else position_from(stored["high"])
        return Followed(stored["source"], stored["source_id"], Order(**stored["order"]), high)


def known_database(node: str, connection: OpenedConnection) -> Database:
    """Raises SourceUnreadable for a driver of which DRLS does not know how values are written."""
    if connection.database is None:
        raise SourceUnreadable(
            f"node '{node}': incremental_column works with the drivers that DRLS knows; read in full, with a query"
        )
    return connection.database


def followed(
    spark: SparkSession, node: str, source: JdbcSource, connection: OpenedConnection, selected: str
) -> Followed:
    """What the source is now. Raises SourceUnreadable for a column that rows cannot be followed by."""
    asked = Asked(spark, node, connection, known_database(node, connection))
    field = _column(node, source, asked.frame(selected))
    order = Order(field.name, _kind(node, field), source.table or "")
    name, key = _identity(node, source, connection)
    value = asked.highest(selected, field, order.kind)
    high = None if value is None else ColumnPosition(value, order)
    empty, *equal = asked.counts(selected, order, [None] if high is None else [None, high])
    if empty:
        raise SourceUnreadable(
            f"node '{node}': {empty:,} row(s) have no value in '{field.name}', and an incremental read would never see "
            "them; leave them out in a query, or follow another column"
        )
    if high is None:
        return Followed(name, key, order, None)
    if not equal[0]:
        raise SourceUnreadable(
            f"node '{node}': the highest value of '{field.name}' is infinite or finer than a microsecond, so it cannot "
            "be followed; leave such rows out in a query, or cast the column there"
        )
    return Followed(name, key, order, replace(high, rows=equal[0]))


def refuse_late(
    spark: SparkSession, node: str, connection: OpenedConnection, selected: str, at: Followed, ends: Ends
) -> None:
    """Raises SourceMissing where rows came with a value that counts as read. It is asked after the rows are staged.

    `ends` are those between which they were read.
    """
    start, end = ends
    known = [one for one in dict.fromkeys(ends) if one is not None and one.rows is not None]
    asked = Asked(spark, node, connection, known_database(node, connection))
    for one, rows in zip(known, asked.counts(selected, at.order, known), strict=True):
        more = rows - (one.rows or 0)
        if more <= 0:
            continue
        came = f"node '{node}': {more:,} row(s) with {at.order.column} = {one.value} came"
        if one == end and one != start:
            raise SourceMissing(f"{came} while the run read up to there, and would never be read; start a new run")
        raise SourceMissing(
            f"{came} after the sink had read up to there, and would never be read; keep the newest rows out of reads "
            f"in a query, and decide with `drls table reset-position TABLE {at.name} --to start|VALUE`, where "
            f"'{one.value}' leaves them out"
        )


def narrowed(selected: str, at: Followed, database: Database, ends: Ends) -> str:
    """What follows FROM, for the rows behind the first end up to the second; none without that."""
    start, end = ends
    name, kind = database.quoted(at.order.column), at.order.kind
    conditions = [] if start is None else [f"{name} > {value_in(database, kind, start.value)}"]
    conditions += ["1 = 0"] if end is None else [f"{name} <= {value_in(database, kind, end.value)}"]
    return f"(SELECT * FROM {selected} WHERE {' AND '.join(conditions)}) drls_rows"


def _column(node: str, source: JdbcSource, frame: DataFrame) -> StructField:
    wanted = source.incremental_column or ""
    fields = frame.schema.fields
    alike = [one for one in fields if one.name.lower() == wanted.lower()]
    found = [one for one in alike if one.name == wanted] or alike
    if len(found) != 1:
        known = ", ".join(one.name for one in fields)[:200]
        raise SourceUnreadable(f"node '{node}': there is no column '{wanted}' to follow; there are {known}")
    return found[0]


def _kind(node: str, field: StructField) -> Kind:
    from pyspark.sql import types

    for kinds, name in (
        ((types.IntegralType, types.DecimalType), "number"),
        ((types.DateType,), "date"),
        ((types.TimestampType,), "timestamp"),
        ((types.TimestampNTZType,), "timestamp_ntz"),
    ):
        if isinstance(field.dataType, kinds):
            return cast("Kind", name)
    raise SourceUnreadable(
        f"node '{node}': the column '{field.name}' is {field.dataType.simpleString()}, and rows are followed by whole "
        "numbers, decimals, dates or timestamps, which have one order and no rounding; name such a column as "
        "incremental_column"
    )


def _identity(node: str, source: JdbcSource, connection: OpenedConnection) -> tuple[str, str]:
    """By the database and the node. Who reads it, and with which options, makes no other source of it."""
    database = known_database(node, connection)
    place = address_of(database, connection.url)
    parts = [database.name, place.host, place.port, place.database, connection.options.get("currentSchema", "")]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return f"{source.connection}/{node}@{digest[:8]}", f"{PREFIX}{digest[:32]}/{node}"
