"""Which column of one snapshot is which of the other: by field id within a table, by name between two tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyiceberg.exceptions import ResolveError
from pyiceberg.schema import Schema, promote
from pyiceberg.types import (
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    PrimitiveType,
    StructType,
)

from lifecycle.domain.data_diff import SchemaChange

_NUMBERS = (IntegerType, LongType, FloatType, DoubleType, DecimalType)


@dataclass(frozen=True)
class Column:
    """A column as it is on each side, None where a side has none; `sql` is its name in the comparison.

    `type` is what both sides are read as: the wider one.
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
        """Whether rows are compared by it: what is gone can be no difference between rows that are there."""
        return self.after is not None

    @property
    def is_plain(self) -> bool:
        """Whether its values have an order, so that a smallest one means something."""
        return isinstance(self.type, PrimitiveType)

    @property
    def is_number(self) -> bool:
        return isinstance(self.type, _NUMBERS)

    @property
    def is_float(self) -> bool:
        return isinstance(self.type, FloatType | DoubleType)

    @property
    def is_map(self) -> bool:
        return isinstance(self.type, MapType)


def match(before: Schema, after: Schema, *, by_id: bool) -> tuple[Column, ...]:
    """The columns of both schemas, those of `after` first, in its order."""
    earlier = {_identity(field, by_id): field for field in before.fields}
    pairs = [(earlier.pop(_identity(field, by_id), None), field) for field in after.fields]
    found: list[tuple[NestedField | None, NestedField | None]] = [
        *pairs,
        *((field, None) for field in earlier.values()),
    ]
    return tuple(Column(f"c{number}", old, new, _wider(old, new)) for number, (old, new) in enumerate(found))


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


def key_columns(columns: Sequence[Column], keys: Sequence[str]) -> tuple[Column, ...] | None:
    """The columns that `keys` name, None where one of them cannot tell rows apart on both sides."""
    by_name = {column.name: column for column in columns if column.before is not None and column.after is not None}
    found = [by_name.get(key) for key in keys]
    usable = [column for column in found if column is not None and column.is_plain]
    return tuple(usable) if usable and len(usable) == len(keys) else None


def can_be_read_as(kind: IcebergType, wider: IcebergType) -> bool:
    """Whether Iceberg reads values of `kind` as `wider`; a field that is missing inside reads as null."""
    match kind, wider:
        case StructType(), StructType():
            inside = {field.field_id: field for field in wider.fields}
            common = [(field, inside[field.field_id]) for field in kind.fields if field.field_id in inside]
            return all(can_be_read_as(one.field_type, other.field_type) for one, other in common)
        case ListType(), ListType():
            return can_be_read_as(kind.element_type, wider.element_type)
        case MapType(), MapType():
            return can_be_read_as(kind.key_type, wider.key_type) and can_be_read_as(kind.value_type, wider.value_type)
        case PrimitiveType(), PrimitiveType():
            try:
                promote(kind, wider)
            except ResolveError:
                return False
            return True
        case _:
            return False


def _wider(old: NestedField | None, new: NestedField | None) -> IcebergType:
    if old is None or new is None:
        field = old or new
        assert field is not None  # noqa: S101 (one side has it)
        return field.field_type
    return new.field_type if can_be_read_as(old.field_type, new.field_type) else old.field_type


def _identity(field: NestedField, by_id: bool) -> int | str:
    return field.field_id if by_id else field.name


def _words(field: NestedField | None) -> str | None:
    return _type_words(field.field_type) if field is not None else None


def _type_words(kind: IcebergType) -> str:
    """The type without field ids, which differ from one table to the next."""
    match kind:
        case StructType():
            return f"struct<{', '.join(f'{field.name}: {_type_words(field.field_type)}' for field in kind.fields)}>"
        case ListType():
            return f"list<{_type_words(kind.element_type)}>"
        case MapType():
            return f"map<{_type_words(kind.key_type)}, {_type_words(kind.value_type)}>"
        case _:
            return str(kind)
