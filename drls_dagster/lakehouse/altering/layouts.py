"""Changes of partitioning and sort order, in the words that plans and pipeline files have for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from drls_dagster.lakehouse.altering.paths import find_column
from drls_dagster.lakehouse.altering.staged import Look, Staged
from drls_dagster.lakehouse.diff.types import type_words
from drls_dagster.lakehouse.layout import (
    PARTITIONS,
    SORT_ORDER,
    LayoutChange,
    format_change,
    parsed_field,
    partition_text,
    present,
    stage,
)
from lifecycle.domain.evolution import AlterPartitions, SetSortOrder, told
from lifecycle.errors import Invalid, NotFound
from lifecycle.spec.sinks import PartitionField

if TYPE_CHECKING:
    from pyiceberg.table import Transaction

_FROM_NOW = "files that are there keep their layout; compaction rewrites them"


def alter_partitions(look: Look, change: AlterPartitions) -> Staged:
    have = _texts(present(look.table.metadata, PARTITIONS))
    dropped = [_partition_there(look, have, text) for text in change.drop]
    left = [text for text in have if text not in dropped]
    added = [text for text in dict.fromkeys(_field(look, one) for one in change.add) if text not in left]
    return _staged(look, LayoutChange(PARTITIONS, tuple(have), (*left, *added)))


def set_sort_order(look: Look, change: SetSortOrder) -> Staged:
    have = _texts(present(look.table.metadata, SORT_ORDER))
    wanted: list[str] = []
    for text in change.sort_by:
        plain = text.strip()
        field = plain.removesuffix(" desc").removesuffix(" asc").strip()
        wanted.append(_field(look, field) + (" desc" if plain.endswith(" desc") else ""))
    if len({one.removesuffix(" desc") for one in wanted}) < len(wanted):
        raise Invalid("the sort order names a column twice")
    return _staged(look, LayoutChange(SORT_ORDER, tuple(have), tuple(wanted)))


def _staged(look: Look, change: LayoutChange) -> Staged:
    if change.was == change.becomes:
        return Staged(layout=_texts(change.becomes))

    def put(transaction: Transaction) -> None:
        stage(transaction, [change])

    return Staged(
        lines=(format_change(change),),
        warnings=(_FROM_NOW,) if look.table.metadata.snapshots else (),
        layout=_texts(change.becomes),
        stage=put,
    )


def _field(look: Look, text: str) -> str:
    """A field in the words of a change, with the table's own spelling of the column."""
    try:
        field = PartitionField.model_validate(text)
    except ValidationError as error:
        first = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise Invalid(" ".join(first.split())) from None
    _, column = find_column(look.table.schema(), field.column, look.name)
    _, transform = parsed_field(partition_text(field))
    if not transform.can_transform(column.field_type):
        what = partition_text(field)
        cannot = "and no order or partition can be by it" if what == field.column else f"which {what} does not take"
        raise Invalid(f"{field.column} is {type_words(column.field_type)}, {cannot}")
    return partition_text(field)


def _partition_there(look: Look, have: tuple[str, ...], text: str) -> str:
    """The field that `text` names, in a change's words or by its name in the partition spec."""
    named = {
        field.name: spelled
        for field, spelled in zip(
            (one for one in look.table.spec().fields if str(one.transform) != "void"), have, strict=True
        )
    }
    if text.strip() in named:
        return named[text.strip()]
    try:
        found = _field(look, text)
    except NotFound:
        found = ""
    if found not in have:
        raise NotFound(f"{look.name} is not partitioned by {text!r}; its partition fields are: {told(have)}")
    return found


def _texts(value: object) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, tuple) else ()
