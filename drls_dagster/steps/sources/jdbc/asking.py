"""Small queries to a database, besides those for the rows themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from drls_dagster.connections.databases import Database
from drls_dagster.connections.opened import OpenedConnection
from drls_dagster.lakehouse.column_positions import ColumnPosition, Kind, Order
from drls_dagster.steps.sources.jdbc.reading import options_of, refuse_lossy
from drls_dagster.steps.sources.jdbc.values import value_in
from drls_dagster.steps.sources.jdbc.words import told
from drls_dagster.steps.sources.pins import SourceUnreadable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession
    from pyspark.sql.types import StructField

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Asked:
    """For one node, in a Spark session of its own. `selected` is what follows FROM; all raise SourceUnreadable."""

    spark: SparkSession
    node: str
    connection: OpenedConnection
    database: Database

    def frame(self, selected: str) -> DataFrame:
        """The rows, none of which is read by this."""
        made = self._heard(lambda: self._read(selected))
        refuse_lossy(self.node, made, self.connection)
        return made

    def highest(self, selected: str, field: StructField, kind: Kind) -> str | None:
        """The highest value of a column as text; None where no row has one."""
        from pyspark.sql.connect.functions import builtin as f
        from pyspark.sql.types import DecimalType

        value = f"MAX({self.database.quoted(field.name)})"
        if isinstance(field.dataType, DecimalType):  # a maximum has no precision in SQL, and Spark would cut its digits
            value = f"CAST({value} AS DECIMAL({field.dataType.precision}, {field.dataType.scale}))"

        def ask() -> Any:
            frame = self._read(f"(SELECT {value} AS highest FROM {selected}) drls_bounds")
            if kind == "timestamp":  # an instant, and not what this process's zone makes of it
                frame = frame.select(f.unix_micros(f.col(frame.columns[0])))
            return frame.collect()[0][0]

        found = self._heard(ask)
        return None if found is None else _text(kind, found)

    def counts(self, selected: str, order: Order, positions: Sequence[ColumnPosition | None]) -> list[int]:
        """How many rows have the value of each position; None: have no value."""
        name = self.database.quoted(order.column)
        parts = [
            f"SELECT {place} AS place, COUNT(*) AS many FROM {selected} WHERE {name} "
            + ("IS NULL" if one is None else f"= {value_in(self.database, order.kind, one.value)}")
            for place, one in enumerate(positions)
        ]
        if not parts:
            return []
        query = f"({' UNION ALL '.join(parts)}) drls_counts"
        found = {int(row[0]): int(row[1]) for row in self._heard(lambda: self._read(query).collect())}
        return [found[place] for place in range(len(positions))]

    def _read(self, selected: str) -> DataFrame:
        return self.spark.read.format("jdbc").options(**options_of(self.connection)).option("dbtable", selected).load()

    def _heard(self, ask: Callable[[], T]) -> T:
        from pyspark.errors import PySparkException

        try:
            return ask()
        except PySparkException as error:
            raise SourceUnreadable(
                f"node '{self.node}': the connection '{self.connection.name}' cannot be read: "
                f"{told(error, self.connection)}"
            ) from None


def _text(kind: Kind, value: Any) -> str:
    if kind == "timestamp":
        return (_EPOCH + timedelta(microseconds=value)).replace(tzinfo=None).isoformat(sep=" ")
    if kind == "timestamp_ntz":
        return value.isoformat(sep=" ")
    if kind == "date":
        return value.isoformat()
    return str(value) if isinstance(value, int) else f"{value:f}"
