"""Values of Arrow as JSON has them, truthfully: see `lifecycle.domain.tables`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from drls_dagster.lakehouse.rows import values_of

if TYPE_CHECKING:
    import pyarrow as pa

_EXACT = 2**53 - 1
_AT_ONCE = 200  # rows that are made Python's at once
_BYTES_AT_ONCE = 8_000_000
_MOST_ITEMS = 200  # of a list, struct or map


class Shown:
    """Makes values fit to be shown, and counts those that were cut to `text` characters."""

    def __init__(self, text: int) -> None:
        self._text = text
        self.cut = 0

    def value(self, value: Any) -> Any:
        match value:
            case None | bool():
                return value
            case int():
                return value if -_EXACT <= value <= _EXACT else str(value)
            case float():
                return value if math.isfinite(value) else str(value)
            case str():
                return self._short(value)
            case bytes():
                return self._short(value[: self._text + 1].hex(), 2 * len(value))
            case Decimal():
                return format(value, "f")
            case datetime() | date() | time():
                return value.isoformat()
            case timedelta() | UUID():
                return str(value)
            case dict():
                return self._items({str(key): self.value(item) for key, item in value.items()}, len(value))
            case list() | tuple():
                return self._items([self.value(item) for item in value[:_MOST_ITEMS]], len(value))
            case _:
                return self._short(str(value))

    def _short(self, text: str, length: int | None = None) -> str:
        length = len(text) if length is None else length
        if length <= self._text:
            return text
        self.cut += 1
        return f"{text[: self._text]}… ({length:,} characters)"

    def _items(self, value: Any, length: int) -> Any:
        if length <= _MOST_ITEMS or isinstance(value, dict):
            return value
        self.cut += 1
        return [*value, f"… ({length:,} items)"]


def json_rows(batch: pa.RecordBatch, shown: Shown) -> Iterator[tuple[list[Any], int]]:
    """Each row, and how many bytes of JSON it is."""
    step = max(min(_AT_ONCE, _BYTES_AT_ONCE * batch.num_rows // max(batch.nbytes, 1)), 1)
    for start in range(0, batch.num_rows, step):
        part = batch.slice(start, step)
        columns = [values_of(column) for column in part.columns]
        for row in zip(*columns, strict=True) if columns else ():
            made = [shown.value(value) for value in row]
            yield made, len(json.dumps(made, ensure_ascii=False).encode("utf-8", "surrogatepass")) + 2


def first_rows(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, rows: int, most_bytes: int, text: int
) -> dict[str, Any]:
    """The answer to a query: its columns, and of its rows as many as it may have. Reads no batch that it needs not."""
    shown = Shown(text)
    found: list[list[Any]] = []
    size, cut = 0, ""
    for row, width in (each for batch in batches for each in json_rows(batch, shown)):
        if len(found) >= rows:
            cut = f"the first {rows:,} rows; there are more"
            break
        size += width
        if size > most_bytes and found:
            cut = f"the first {len(found):,} rows, because more are over {most_bytes:,} bytes"
            break
        found.append(row)
    columns = [{"name": field.name, "type": type_words(field.type)} for field in schema]
    return {"columns": columns, "rows": found, "cut": cut, "values_cut": shown.cut}


def type_words(kind: pa.DataType) -> str:
    """Arrow's types in Iceberg's words."""
    import pyarrow as pa

    match kind:
        case pa.Decimal128Type() | pa.Decimal256Type():
            return f"decimal({kind.precision}, {kind.scale})"
        case pa.TimestampType():
            return ("timestamptz" if kind.tz else "timestamp") + ("_ns" if kind.unit == "ns" else "")
        case pa.StructType():
            fields = ", ".join(f"{field.name}: {type_words(field.type)}" for field in kind)
            return f"struct<{fields}>"
        case pa.MapType():
            return f"map<{type_words(kind.key_type)}, {type_words(kind.item_type)}>"
        case pa.ListType() | pa.LargeListType() | pa.FixedSizeListType():
            return f"list<{type_words(kind.value_type)}>"
        case _:
            words = (word for is_one, word in _words() if is_one(kind))
            return next(words, str(kind))


@cache
def _words() -> tuple[tuple[Callable[[pa.DataType], bool], str], ...]:
    from pyarrow import types

    return (
        (types.is_int64, "long"),
        (types.is_signed_integer, "int"),
        (types.is_float64, "double"),
        (types.is_floating, "float"),
        (types.is_boolean, "boolean"),
        (types.is_date, "date"),
        (types.is_time, "time"),
        (types.is_binary, "binary"),
        (types.is_large_binary, "binary"),
        (types.is_fixed_size_binary, "binary"),
        (types.is_string, "string"),
        (types.is_large_string, "string"),
        (types.is_string_view, "string"),
    )
