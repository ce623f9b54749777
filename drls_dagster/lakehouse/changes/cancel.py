"""Rows that a step only rewrote are no change: they cancel out, as often as they are on both sides.

A database on disk keeps a digest of each row and where the row is, whatever the rows hold: so memory is bounded, and
values never pass through it. What is left is read from the files again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from drls_dagster.lakehouse.diff.staging import in_order

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType

REMOVED, ADDED = 0, 1
_LONG_DECIMAL = 18  # digits that 64 bits hold


class Cancelling:
    """The rows of one step. With `keys`, rows of one key that are removed and added are the two sides of an update."""

    def __init__(self, database: duckdb.DuckDBPyConnection, schema: Schema, keys: Sequence[str]) -> None:
        self._database = database
        self._salt = secrets.token_hex(8)
        columns = {column.name: (f"c{at}", column.field_type) for at, column in enumerate(schema.columns)}
        self._names = [name for name, _ in columns.values()]
        row = list(columns.values())
        key = [columns[one] for one in keys]
        self._digests = [*self._pair(row), *(self._pair(key) if key else ("0", "0"))]
        self._keyed = bool(keys)
        database.execute(
            "CREATE OR REPLACE TABLE rows (side TINYINT, part INTEGER, place BIGINT, "
            "h1 UBIGINT, h2 UBIGINT, k1 UBIGINT, k2 UBIGINT)"
        )

    def add(self, side: int, part: int, start: int, batch: pa.RecordBatch) -> None:
        """Notes rows of a part, of which the first is its row number `start`."""
        import pyarrow as pa

        arrays = [pa.array(np.arange(start, start + batch.num_rows)), *(_exact(column) for column in batch.columns)]
        self._database.register("batch", pa.Table.from_arrays(arrays, names=["place", *self._names]))
        try:
            self._database.execute(
                f"INSERT INTO rows SELECT {side}, {part}, place, {', '.join(self._digests)} FROM batch"
            )
        finally:
            self._database.unregister("batch")

    def cancel(self) -> None:
        """Finds out which rows are left."""
        self._database.execute(
            """
            CREATE OR REPLACE TABLE differing AS
            SELECT h1, h2, count(*) FILTER (side = 0) AS removed, count(*) FILTER (side = 1) AS added
            FROM rows GROUP BY ALL HAVING removed <> added
            """
        )
        self._database.execute(
            """
            CREATE OR REPLACE TABLE remaining AS
            SELECT side, part, place, k1, k2, false AS paired FROM (
                SELECT rows.*, removed, added, row_number() OVER (PARTITION BY h1, h2, side ORDER BY part, place) AS n
                FROM rows JOIN differing USING (h1, h2)
            ) WHERE n > CASE side WHEN 0 THEN added ELSE removed END
            """
        )
        if self._keyed:
            self._database.execute(
                """
                CREATE OR REPLACE TABLE remaining AS
                SELECT side, part, place, k1, k2,
                    row_number() OVER (PARTITION BY k1, k2, side ORDER BY part, place)
                    <= count(*) FILTER (side = 0) OVER same AND row_number() OVER
                        (PARTITION BY k1, k2, side ORDER BY part, place)
                    <= count(*) FILTER (side = 1) OVER same AS paired
                FROM remaining WINDOW same AS (PARTITION BY k1, k2)
                """
            )

    def left(self, side: int, part: int) -> tuple[np.ndarray, np.ndarray]:
        """The row numbers of a part that are left, in order, and which of them belong to an update."""
        found = self._database.execute(
            "SELECT place, paired FROM remaining WHERE side = ? AND part = ? ORDER BY place", [side, part]
        ).fetchnumpy()
        return np.asarray(found["place"], dtype=np.int64), np.asarray(found["paired"], dtype=bool)

    def _pair(self, columns: Sequence[tuple[str, IcebergType]]) -> tuple[str, str]:
        """Two digests that have nothing in common; together 128 bits.

        The hash of a value of up to 64 bits is exact; longer ones are salted in the second, and so get another hash.
        DuckDB takes 0.0 and -0.0 for one number: at the top they are compared as bits, and below as text.
        """
        values = [in_order(name, kind) for name, kind in columns]
        second = [
            f"hash('{self._salt}' || CAST({value} AS VARCHAR))" if _is_long(kind) else value
            for value, (_, kind) in zip(values, columns, strict=True)
        ]
        return f"hash({', '.join(values)})", f"hash('{self._salt}', {', '.join(reversed(second))})"


def _is_long(kind: IcebergType) -> bool:
    from pyiceberg.types import (
        BinaryType,
        DecimalType,
        FixedType,
        ListType,
        MapType,
        StringType,
        StructType,
        UUIDType,
    )

    if isinstance(kind, DecimalType):
        return kind.precision > _LONG_DECIMAL
    return isinstance(kind, BinaryType | FixedType | ListType | MapType | StringType | StructType | UUIDType)


def _exact(column: pa.Array) -> pa.Array:
    """Floating-point numbers as their bits, every NaN as the same; all others as they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_floating(column.type):
        return column
    same = pc.call_function("if_else", [pc.call_function("is_nan", [column]), pa.scalar(np.nan, column.type), column])
    return same.view(pa.int32() if pa.types.is_float32(column.type) else pa.int64())


def chosen(batches: Iterator[pa.RecordBatch], places: np.ndarray) -> Iterator[tuple[pa.RecordBatch, slice]]:
    """The rows with these numbers, and which of `places` each piece has."""
    import pyarrow as pa

    at = begun = 0
    for batch in batches:
        end = int(np.searchsorted(places, at + batch.num_rows))
        if end > begun:
            yield batch.take(pa.array(places[begun:end] - at)), slice(begun, end)
        at, begun = at + batch.num_rows, end
        if begun == len(places):
            return
