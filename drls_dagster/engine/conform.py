"""Bring what a pipeline's own code gives to the columns and types that its step declares."""

from __future__ import annotations

import re

import pyarrow as pa

_WHYS = (
    ("not in range|overflow|out of bounds|would not fit|does not fit|out of range", "a value is too large"),
    ("truncat|lose data|rescal", "a value would lose a part"),
    ("parse|invalid value|convert", "a text is not written as one"),
)


class Misfit(Exception):
    """`what` is wrong with the table, or with its column `column`."""

    def __init__(self, what: str, column: str | None = None) -> None:
        super().__init__(what, column)
        self.what = what
        self.column = column


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` with exactly the columns and types of `schema`. Raises Misfit."""
    names: list[str] = table.column_names
    missing = [name for name in schema.names if name not in names]
    extra = [name for name in names if name not in schema.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if missing:
        what = f"lacks {', '.join(missing)}"
    elif extra:
        what = f"has extra columns {', '.join(extra)}"
    else:
        what = f"has {', '.join(twice)} twice" if twice else ""
    if what:
        raise Misfit(f"{what}; output_schema says {', '.join(schema.names)}: give exactly these columns, or correct it")
    columns: list[pa.ChunkedArray] = []
    for field in schema:
        try:
            columns.append(table[field.name].cast(field.type))
        except pa.ArrowException as error:
            raise Misfit(
                f"is {table[field.name].type}, which does not fit output_schema's {field.type}{_why(str(error))}; "
                "convert it in the code, or correct output_schema",
                field.name,
            ) from None
    return pa.table(columns, schema=schema)


def _why(said: str) -> str:
    """What is wrong with a value, without the value."""
    return next((f" ({why})" for words, why in _WHYS if re.search(words, said, re.IGNORECASE)), "")
