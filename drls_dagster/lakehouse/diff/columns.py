"""Which column of one snapshot is which of the other: by field id within a table, by name between two tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyiceberg.schema import Schema
from pyiceberg.types import DecimalType, DoubleType, FloatType, IcebergType, NestedField, PrimitiveType

from drls_dagster.lakehouse.diff.types import NUMBERS, common_type, identity, type_words
from lifecycle.domain.data_diff import RowKey, SchemaChange


@dataclass(frozen=True)
class Column:
    """A column as it is on each side, None where a side has none; `sql` is its name in the comparison.

    `type` is what both sides are read as.
    """

    sql: str
    before: NestedField | None
    after: NestedField | None
    type: IcebergType

    @property
    def name(self) -> str:
        """What people call it now, or called it."""
        field = self.after or self.before
        assert field is not None  # noqa: S101 (one side has it)
        return field.name

    @property
    def words(self) -> str:
        """Its type, as it is now or was."""
        field = self.after or self.before
        return _words(field) or ""

    @property
    def is_compared(self) -> bool:
        """Whether both sides have it: what one side cannot have is a difference of the schema and of no row."""
        return self.before is not None and self.after is not None

    @property
    def is_plain(self) -> bool:
        """Whether its values have an order, so that a smallest one means something."""
        return isinstance(self.type, PrimitiveType)

    @property
    def is_number(self) -> bool:
        return isinstance(self.type, NUMBERS)

    @property
    def is_float(self) -> bool:
        return isinstance(self.type, FloatType | DoubleType)

    @property
    def is_large_number(self) -> bool:
        """Whether a sum of a few values may be more than any integer type holds."""
        return isinstance(self.type, DecimalType) and self.type.precision > 18


def match(before: Schema, after: Schema, *, by_id: bool) -> tuple[Column, ...]:
    """The columns of both schemas, those of `after` first, in its order."""
    earlier = {identity(field, by_id): field for field in before.fields}
    pairs = [(earlier.pop(identity(field, by_id), None), field) for field in after.fields]
    found: list[tuple[NestedField | None, NestedField | None]] = [
        *pairs,
        *((field, None) for field in earlier.values()),
    ]
    return tuple(Column(f"c{number}", old, new, _type(old, new, by_id)) for number, (old, new) in enumerate(found))


def read_schema(columns: Sequence[Column], *, of_before: bool, by_id: bool) -> Schema:
    """What to read a side as: each column under its name in the comparison, absent ones left out."""
    fields: list[NestedField] = []
    for column in columns:
        own = column.before if of_before else column.after
        if own is not None:
            # The ids inside another table's type mean nothing here: what differs is cast where it is compared.
            kind = column.type if by_id else own.field_type
            fields.append(NestedField(own.field_id, column.sql, kind, required=False))
    return Schema(*fields)


def common_schema(columns: Sequence[Column]) -> Schema:
    """All columns of both sides, as they are compared; files that both sides have can be read as it."""
    fields = ((column, column.after or column.before) for column in columns)
    return Schema(*(NestedField(own.field_id, one.sql, one.type, required=False) for one, own in fields if own))


def schema_changes(columns: Sequence[Column]) -> tuple[SchemaChange, ...]:
    """What is not as it was, column by column."""
    found: list[SchemaChange] = []
    for column in columns:
        old, new = column.before, column.after
        if old is None:
            found.append(SchemaChange(kind="added", column=column.name, after=_words(new)))
        elif new is None:
            found.append(SchemaChange(kind="removed", column=column.name, before=_words(old)))
        else:
            if old.name != new.name:
                found.append(SchemaChange(kind="renamed", column=new.name, before=old.name, after=new.name))
            if _words(old) != _words(new):
                found.append(SchemaChange(kind="retyped", column=new.name, before=_words(old), after=_words(new)))
            if old.required != new.required:
                found.append(SchemaChange(kind="required" if new.required else "optional", column=new.name))
    return tuple(found)


def key_columns(columns: Sequence[Column], key: RowKey) -> tuple[Column, ...]:
    """The columns that `key` names, none where one of them cannot tell rows apart on both sides.

    As in Spark, case tells two columns apart only where both are there.
    """
    usable = [column for column in columns if column.is_compared and column.is_plain]
    found = [_named(usable, name) for name in key.columns]
    return tuple(dict.fromkeys(column for column in found if column is not None)) if None not in found else ()


def _named(columns: Sequence[Column], name: str) -> Column | None:
    exact = [column for column in columns if column.name == name]
    alike = exact or [column for column in columns if column.name.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _type(old: NestedField | None, new: NestedField | None, by_id: bool) -> IcebergType:
    if old is not None and new is not None:
        return common_type(old.field_type, new.field_type, by_id=by_id)
    field = old or new
    assert field is not None  # noqa: S101 (one side has it)
    return field.field_type


def _words(field: NestedField | None) -> str | None:
    return type_words(field.field_type) if field is not None else None
