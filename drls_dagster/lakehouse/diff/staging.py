"""The rows that are compared, in a DuckDB database of their own on disk: bounded memory, whatever the table's size.

Tables: `before` and `after` (what only one side has), `same` (files of both sides, for statistics alone). Columns are
c0, c1, …, and `counted`: whether the row is part of the statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.columns import has_map
from drls_dagster.lakehouse.diff.columns import Column

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType

_PARTS = 1_000_000  # a hash modulo this is below fraction × this for that fraction of the keys
_THREADS = 2


@contextmanager
def opened(folder: Path, memory: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in `folder`, which is the caller's to remove."""
    import duckdb

    database = duckdb.connect(
        str(folder / "rows.duckdb"),
        config={
            "memory_limit": memory,
            "threads": _THREADS,
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    try:
        database.execute("SET TimeZone = 'UTC'")
        yield database
    finally:
        with suppress(duckdb.Error):
            database.close()


class Staging:
    """`matched` are the columns whose hash decides about a sample: a row's key, or the whole row."""

    def __init__(
        self, database: duckdb.DuckDBPyConnection, columns: Sequence[Column], matched: Sequence[Column], schema: Schema
    ) -> None:
        """`schema` is what the comparison's columns are stored as."""
        from pyiceberg.io.pyarrow import schema_to_pyarrow

        self._database = database
        self._columns = columns
        self._key = f"hash({', '.join(column.sql for column in matched)}) % {_PARTS}"
        database.register("empty", schema_to_pyarrow(schema, include_field_ids=False).empty_table())
        selected = ", ".join(f"{_comparable(column)} AS {column.sql}" for column in columns)
        for table in ("before", "after", "same"):
            database.execute(f"CREATE TABLE {table} AS SELECT {selected}, true AS counted FROM empty")
        database.unregister("empty")
        described = database.execute("DESCRIBE before").fetchall()
        self._types = {name: kind for name, kind, *_ in described}

    def add(self, table: str, batch: pa.RecordBatch, *, fraction: float = 1, counted: float = 1) -> None:
        """Takes `fraction` of the batch's rows in, chosen by key; `counted` of all rows are for statistics too."""
        import pyarrow as pa

        there = set(batch.schema.names)
        selected = ", ".join(
            f"CAST({_comparable(column)} AS {self._types[column.sql]}) AS {column.sql}"
            if column.sql in there
            else f"CAST(NULL AS {self._types[column.sql]}) AS {column.sql}"
            for column in self._columns
        )
        self._database.register("batch", pa.Table.from_batches([batch]))
        try:
            rows = f"SELECT {selected} FROM batch"
            if fraction >= 1 and counted >= 1:
                self._database.execute(f"INSERT INTO {table} SELECT *, true FROM ({rows})")
            else:
                # The statistics' part is a part of the sample: it is never the larger fraction.
                self._database.execute(
                    f"INSERT INTO {table} SELECT *, {self._key} < {counted * _PARTS} FROM ({rows}) "
                    f"WHERE {self._key} < {fraction * _PARTS}"
                )
        finally:
            self._database.unregister("batch")


def _comparable(column: Column) -> str:
    return in_order(column.sql, column.type)


def in_order(value: str, kind: IcebergType, depth: int = 0) -> str:
    """The SQL of `value` with each map in it, however deep, as a list of its entries in one order: it has none itself.

    `depth`: of so many lists and maps it is inside.
    """
    from pyiceberg.types import ListType, MapType, StructType

    if not has_map(kind):
        return value
    entry = f"e{depth}"
    match kind:
        case MapType():
            key = in_order(f"{entry}.key", kind.key_type, depth + 1)
            held = in_order(f"{entry}.value", kind.value_type, depth + 1)
            entries = f"map_entries({value})"
            if has_map(kind.key_type) or has_map(kind.value_type):
                entries = f"list_transform({entries}, lambda {entry}: {{'key': {key}, 'value': {held}}})"
            return f"list_sort({entries})"
        case ListType():
            return f"list_transform({value}, lambda {entry}: {in_order(entry, kind.element_type, depth + 1)})"
        case StructType():
            fields = ", ".join(
                f"{_quoted(field.name)} := {in_order(f'{value}.{_quoted(field.name)}', field.field_type, depth)}"
                for field in kind.fields
            )
            return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({fields}) END"
        case _:
            return value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
