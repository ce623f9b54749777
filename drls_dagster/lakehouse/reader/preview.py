"""The first rows of a table at a snapshot: files are read in turn, in pieces, until there are enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.diff.reading import read_batches
from drls_dagster.lakehouse.diff.types import type_words
from drls_dagster.lakehouse.reader.finding import Pinned
from drls_dagster.lakehouse.reader.values import Shown, json_rows
from lifecycle.domain.tables import EVERY_COLUMN, ColumnPage, ColumnShown, ReadLimits, TableRows
from lifecycle.errors import NotFound

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.schema import Schema

_TYPE = 300


def preview(pinned: Pinned, columns: Sequence[str], limits: ReadLimits, page: ColumnPage = EVERY_COLUMN) -> TableRows:
    """At most `limits.rows` rows and `limits.bytes` of JSON. Raises NotFound for an unknown column."""
    from pyiceberg.schema import Schema

    schema, following = chosen(pinned, columns), None
    if not columns and (page.after or page.most < len(schema.fields)):
        end = page.after + page.most
        following = end if end < len(schema.fields) else None
        schema = Schema(*schema.fields[page.after : end])
    shown = Shown(limits.text)
    rows: list[tuple[Any, ...]] = []
    size, cut = 0, ""
    for row, width in _rows(pinned, schema, shown):
        if len(rows) >= limits.rows:
            cut = f"the first {limits.rows:,} rows; there are more"
            break
        size += width
        if size > limits.bytes and rows:
            cut = f"the first {len(rows):,} rows, which are {limits.bytes:,} bytes; name fewer columns to see more"
            break
        rows.append(tuple(row))
    return TableRows(
        name=pinned.name,
        snapshot=pinned.snapshot,
        columns=tuple(ColumnShown(name=one.name, type=type_words(one.field_type)[:_TYPE]) for one in schema.fields),
        rows=tuple(rows),
        cut=cut,
        values_cut=shown.cut,
        columns_total=len(pinned.schema.fields),
        next=following,
    )


def chosen(pinned: Pinned, columns: Sequence[str]) -> Schema:
    """The schema of the named columns, in that order; all of them when none are named."""
    from pyiceberg.schema import Schema

    if not columns:
        return pinned.schema
    known = {field.name: field for field in pinned.schema.fields}
    unknown = next((name for name in columns if name not in known), None)
    if unknown is not None:
        raise NotFound(
            f"{pinned.name} has no column {unknown!r} there; drls table show {pinned.name} lists its columns"
        )
    return Schema(*(known[name] for name in dict.fromkeys(columns)))


def batches(pinned: Pinned, schema: Schema) -> Iterator[pa.RecordBatch]:
    """The table's rows in pieces of bounded size."""
    if pinned.snapshot is None:
        return
    for task in pinned.table.scan(snapshot_id=pinned.snapshot).plan_files():
        yield from read_batches(pinned.table, task, schema)


def _rows(pinned: Pinned, schema: Schema, shown: Shown) -> Iterator[tuple[list[Any], int]]:
    for batch in batches(pinned, schema):
        yield from json_rows(batch, shown)
