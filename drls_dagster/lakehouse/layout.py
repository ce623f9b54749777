"""The layout that a sink asks for, against the one its table has: partitioning, sort order, properties (D10).

A difference is one line of text that people read in a plan and that a promotion applies:

    partitions: ["day(at)"] → ["month(at)", "bucket(16, id)"]
    sort order: [] → ["id", "at desc"]
    property "write.target-file-size-bytes": "1048576" → "2097152"

`format_change` writes such a line and `parse_change` reads it; both sides are JSON, null is an absent property.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, NullOrder, SortDirection
from pyiceberg.table.update import AddSortOrderUpdate, SetDefaultSortOrderUpdate
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    Transform,
    TruncateTransform,
    VoidTransform,
    YearTransform,
)

from drls_dagster.errors import DrlsError

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Transaction
    from pyiceberg.table.metadata import TableMetadata

    from lifecycle.spec import PartitionField, SinkNode

PARTITIONS, SORT_ORDER = "partitions", "sort order"
_SIMPLE: dict[str, Transform[Any, Any]] = {
    "identity": IdentityTransform(),
    "year": YearTransform(),
    "month": MonthTransform(),
    "day": DayTransform(),
    "hour": HourTransform(),
}
_FIELD = re.compile(r"(year|month|day|hour|bucket|truncate)\((?:([0-9]+), )?(.+)\)")
_TRANSFORM = re.compile(r"(bucket|truncate)\[([0-9]+)\]")
_LISTED = ("write.", "read.", "commit.", "history.expire.", "drls.maintenance.")
# Where files go and how a table takes part in staged writes is not for a pipeline to change.
_NOT_LISTED = re.compile(r"write\.(.*\.path|.*\.impl|wap\..*|spark\.accept-any-schema)")

Value = str | tuple[str, ...] | None


@dataclass(frozen=True)
class LayoutChange:
    """`what` is PARTITIONS, SORT_ORDER or, for a property, its name; `was` and `becomes` are in the text's words."""

    what: str
    was: Value
    becomes: Value

    @property
    def is_property(self) -> bool:
        return self.what not in (PARTITIONS, SORT_ORDER)


def format_change(change: LayoutChange) -> str:
    """The line that a plan shows."""
    what = f"property {_json(change.what)}" if change.is_property else change.what
    return f"{what}: {_json(change.was)} → {_json(change.becomes)}"


def parse_change(text: str) -> LayoutChange:
    """What `format_change` wrote. Raises DrlsError for anything else."""
    decoder = json.JSONDecoder()
    try:
        if text.startswith("property "):
            what, at = decoder.raw_decode(text, len("property "))
        else:
            what, at = text.partition(":")[0], len(text.partition(":")[0])
        was, at = decoder.raw_decode(text, at + len(": "))
        becomes, at = decoder.raw_decode(text, at + len(" → "))
        change = LayoutChange(what, _value(was), _value(becomes))
    except (ValueError, TypeError):
        raise DrlsError(f"'{text}' is not a metadata change that this release can apply") from None
    if format_change(change) != text:
        raise DrlsError(f"'{text}' is not a metadata change that this release can apply")
    return change


def wanted_changes(metadata: TableMetadata, sink: SinkNode) -> tuple[LayoutChange, ...]:
    """What has to change in the table for it to be laid out as `sink` says.

    Properties that the sink does not name stay; `format-version` is decided when a table is made.
    """
    schema = metadata.schema()
    partitions = tuple(partition_text(part, _name(schema, part.column)) for part in sink.partition_by)
    order = tuple(f"{_name(schema, f.column)}{'' if f.order == 'asc' else ' desc'}" for f in sink.sort_by)
    changes = [
        LayoutChange(PARTITIONS, present(metadata, PARTITIONS), partitions),
        LayoutChange(SORT_ORDER, present(metadata, SORT_ORDER), order),
        *(
            LayoutChange(name, present(metadata, name), value)
            for name, value in sorted(sink.properties.items())
            if name != "format-version"
        ),
    ]
    return tuple(change for change in changes if not _same(change))


def is_listed(change: LayoutChange) -> bool:
    """Whether a promotion may make this change in a table that others share: the allow-list of D10."""
    if not change.is_property or change.what == "comment":
        return True
    return change.what.startswith(_LISTED) and not _NOT_LISTED.fullmatch(change.what)


def present(metadata: TableMetadata, what: str) -> Value:
    """How the table is now, in the words of a change."""
    schema = metadata.schema()
    if what == PARTITIONS:
        return tuple(
            _text_of(schema, field.source_id, field.transform)
            for field in metadata.spec().fields
            if not isinstance(field.transform, VoidTransform)
        )
    if what == SORT_ORDER:
        order = metadata.sort_order_by_id(metadata.default_sort_order_id)
        return tuple(
            _text_of(schema, field.source_id, field.transform)
            + ("" if field.direction == SortDirection.ASC else " desc")
            for field in (order.fields if order else ())
        )
    return metadata.properties.get(what)


def stage(transaction: Transaction, changes: Iterable[LayoutChange]) -> None:
    """Puts the changes into a transaction; who opened it commits. Raises DrlsError where a column is missing."""
    properties: dict[str, str] = {}
    removed: list[str] = []
    for change in changes:
        if change.what == PARTITIONS:
            _stage_partitions(transaction, change.becomes or ())
        elif change.what == SORT_ORDER:
            _stage_order(transaction, change.becomes or ())
        elif isinstance(change.becomes, str):
            properties[change.what] = change.becomes
        else:
            removed.append(change.what)
    if properties:
        transaction.set_properties(properties)
    if removed:
        transaction.remove_properties(*removed)


def _stage_partitions(transaction: Transaction, wanted: Sequence[str]) -> None:
    metadata = transaction.table_metadata
    have = {_text_of(metadata.schema(), f.source_id, f.transform): f.name for f in metadata.spec().fields}
    with transaction.update_spec() as update:
        for text, name in have.items():
            if text not in wanted and not text.startswith("void("):
                update.remove_field(name)
        for text in wanted:
            if text not in have:
                column, transform = _column_of(metadata.schema(), text)
                update.add_field(column, transform)


def _stage_order(transaction: Transaction, wanted: Sequence[str]) -> None:
    if not wanted and transaction.table_metadata.sort_order_by_id(UNSORTED_SORT_ORDER.order_id) is None:
        # A table that was made with an order does not know of none, and PyIceberg would take the newest for it.
        none = SetDefaultSortOrderUpdate.model_validate({"sort-order-id": UNSORTED_SORT_ORDER.order_id})
        transaction._stage((AddSortOrderUpdate.model_validate({"sort-order": UNSORTED_SORT_ORDER}), none))
        return
    schema = transaction.table_metadata.schema()
    with transaction.update_sort_order() as update:
        for text in wanted:
            column, transform = _column_of(schema, text.removesuffix(" desc"))
            if text.endswith(" desc"):
                update.desc(column, transform, NullOrder.NULLS_LAST)
            else:
                update.asc(column, transform, NullOrder.NULLS_FIRST)


def parsed_field(text: str) -> tuple[str, Transform[Any, Any]]:
    """The column and transform of a field in a change's words: `region`, `day(at)`, `bucket(16, id)`."""
    found = _FIELD.fullmatch(text)
    if not found:
        return text, _SIMPLE["identity"]
    if found[1] == "bucket":
        return found[3], BucketTransform(int(found[2]))
    if found[1] == "truncate":
        return found[3], TruncateTransform(int(found[2]))
    return found[3], _SIMPLE[found[1]]


def partition_text(part: PartitionField, column: str | None = None) -> str:
    """A sink's partition field in a change's words, of `column` where the table spells it otherwise."""
    return _text(part.transform, part.argument, column or part.column)


def _column_of(schema: Schema, text: str) -> tuple[str, Transform[Any, Any]]:
    column, transform = parsed_field(text)
    if column not in schema.column_names:
        raise DrlsError(f"the table has no column '{column}' to be laid out by, only {', '.join(schema.column_names)}")
    return column, transform


def _text_of(schema: Schema, source_id: int, transform: Transform[Any, Any]) -> str:
    name = schema.find_column_name(source_id) or f"dropped column {source_id}"
    found = _TRANSFORM.fullmatch(str(transform))
    return _text(found[1], int(found[2]), name) if found else _text(str(transform), None, name)


def _text(transform: str, argument: int | None, column: str) -> str:
    if transform == "identity":
        return column
    return f"{transform}({column})" if argument is None else f"{transform}({argument}, {column})"


def _name(schema: Schema, column: str) -> str:
    """The table's own spelling of a column; as given where the table lacks it."""
    try:
        return schema.find_column_name(schema.find_field(column, case_sensitive=False).field_id) or column
    except ValueError:
        return column


def _same(change: LayoutChange) -> bool:
    # The order of partition fields says nothing about where a row belongs.
    if change.what == PARTITIONS:
        return sorted(change.was or ()) == sorted(change.becomes or ())
    return change.was == change.becomes


def _value(found: object) -> Value:
    return tuple(found) if isinstance(found, list) else found  # pyright: ignore[reportReturnType]


def _json(value: Value) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
