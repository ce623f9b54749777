"""Bring what a pipeline's own code gives to the columns and types that its step declares."""

from __future__ import annotations

import pyarrow as pa


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
        raise Misfit(f"{what}; output_schema says {', '.join(schema.names)}")
    columns: list[pa.ChunkedArray] = []
    for field in schema:
        try:
            columns.append(table[field.name].cast(field.type))
        except pa.ArrowException as error:
            told = f"is {table[field.name].type}, which does not fit output_schema's {field.type}: {error}"
            raise Misfit(told, field.name) from None
    return pa.table(columns, schema=schema)
