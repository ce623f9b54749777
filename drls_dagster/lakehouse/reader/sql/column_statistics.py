"""Statistics of columns: one pass over the table for a hundred of them, one more for their most frequent values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.diff.types import type_words
from drls_dagster.lakehouse.reader.sql.execute import opened
from drls_dagster.lakehouse.reader.sql.streams import TableStream
from drls_dagster.lakehouse.reader.values import Shown

if TYPE_CHECKING:
    import duckdb
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.types import NestedField

_AT_ONCE = 100
_FEW = 1_000  # distinct values, up to which the most frequent ones are worth a second pass
_PER_COLUMN = 5


def statistics(
    table: Table,
    snapshot: int | None,
    schema: Schema,
    *,
    columns: Sequence[str],
    top: int,
    distinct: bool,
    text: int,
    seconds: float,
    most_rows: int,
    memory: str,
) -> dict[str, Any]:
    """Of each column, in the order asked; `rows` is how many were read."""
    found: list[dict[str, Any]] = []
    rows, ended = 0, False
    shown = Shown(text)
    with opened(memory, seconds) as database:
        for start in range(0, len(columns), _AT_ONCE):
            some = columns[start : start + _AT_ONCE]
            fields = [next(one for one in schema.fields if one.name == name) for name in some]
            stream = TableStream(table, snapshot, _only(fields), None, most_rows=most_rows)
            database.register("data", stream)
            rows, made = _pass(database, fields, distinct, shown)
            ended |= stream.ended
            few = [at for at, one in enumerate(made) if top and one["distinct"] is not None and one["distinct"] <= _FEW]
            _add_top(database, fields, made, few, top, shown)
            found += made
            database.unregister("data")
    return {"columns": found, "rows": rows, "cut": f"the first {rows:,} rows; there are more" if ended else ""}


def _only(fields: Sequence[NestedField]) -> Schema:
    """The fields under the names c0, c1, …: DuckDB does not tell `a` from `A`."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField

    return Schema(
        *(NestedField(one.field_id, f"c{at}", one.field_type, required=False) for at, one in enumerate(fields))
    )


def _pass(
    database: duckdb.DuckDBPyConnection, fields: Sequence[NestedField], count_distinct: bool, shown: Shown
) -> tuple[int, list[dict[str, Any]]]:
    asked = ["count(*)", *(part for at, field in enumerate(fields) for part in _asked(f"c{at}", field, count_distinct))]
    values = _first_row(database, asked)
    rows = values[0].as_py()
    made: list[dict[str, Any]] = []
    for at, field in enumerate(fields):
        nulls, nans, smallest, largest, distinct = (
            shown.value(_python(one)) for one in values[1 + at * _PER_COLUMN : 1 + (at + 1) * _PER_COLUMN]
        )
        made.append(
            {
                "name": field.name,
                "type": type_words(field.field_type)[:300],
                "nulls": nulls,
                "nans": nans,
                "min": smallest,
                "max": largest,
                "distinct": min(distinct, rows - nulls) if distinct is not None else None,
                "top": [],
            }
        )
    return rows, made


def _asked(column: str, field: NestedField, distinct: bool) -> tuple[str, ...]:
    """Nulls, NaNs, smallest, largest, distinct."""
    from pyiceberg.types import DoubleType, FloatType, PrimitiveType

    is_float = isinstance(field.field_type, FloatType | DoubleType)
    is_plain = isinstance(field.field_type, PrimitiveType)
    only = f" FILTER (NOT isnan({column}))" if is_float else ""
    return (
        f"count(*) - count({column})",
        f"count(*) FILTER (isnan({column}))" if is_float else "NULL",
        f"min({column}){only}" if is_plain else "NULL",
        f"max({column}){only}" if is_plain else "NULL",
        f"approx_count_distinct({column})" if is_plain and distinct else "NULL",
    )


def _add_top(
    database: duckdb.DuckDBPyConnection,
    fields: Sequence[NestedField],
    made: list[dict[str, Any]],
    few: Sequence[int],
    top: int,
    shown: Shown,
) -> None:
    """The most frequent values of columns with few different ones, in one pass; equal ones in the values' order."""
    if not few:
        return
    entry = "lambda e: {'n': -(e.value::BIGINT), 'v': e.key}"
    asked = [f"list_sort(list_transform(map_entries(histogram(c{at})), {entry}))[:{top}]" for at in few]
    for at, value in zip(few, _first_row(database, asked), strict=True):
        made[at]["top"] = [{"value": shown.value(one["v"]), "rows": -one["n"]} for one in _python(value) or ()]


def _first_row(database: duckdb.DuckDBPyConnection, asked: Sequence[str]) -> list[Any]:
    answer = database.execute(f"SELECT {', '.join(asked)} FROM data").to_arrow_table()
    assert answer is not None  # noqa: S101 (an aggregate answers one row)
    return [column[0] for column in answer.columns]


def _python(scalar: Any) -> Any:
    import pyarrow as pa

    from drls_dagster.lakehouse.rows import values_of

    return values_of(pa.chunked_array([pa.array([scalar], scalar.type)]))[0] if scalar.is_valid else None
