"""How a table follows the frames that are written to it: additions, widenings, and what cannot be."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyiceberg import types as ib
from pyiceberg.schema import Schema

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.columns import spark_ddl, type_words


class SchemaConflict(DrlsError):
    """The frame does not fit the table, and the sink's `on_schema_change` does not allow to change it."""


@dataclass(frozen=True)
class SchemaChange:
    """What would have to change in the table for a frame to fit. Column names are the table's, or the new ones."""

    added: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()  # structs, lists and maps that gain fields or become wider inside
    clashing: tuple[str, ...] = field(default=())  # "day is date in the table and string in the frame"

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.widened or self.nested or self.clashing)


def compare(table: Schema, frame: Schema) -> SchemaChange:
    """How `frame` differs from `table`. Columns that only the table has are no difference: they are filled with null.

    Names are compared as Spark does, without regard to case.
    """
    known = {column.name.lower(): column for column in table.fields}
    added: list[str] = []
    widened: list[str] = []
    nested: list[str] = []
    clashing: list[str] = []
    for column in frame.fields:
        have = known.get(column.name.lower())
        if have is None:
            added.append(column.name)
        elif _takes(have.field_type, column.field_type):
            continue
        elif fits(have.field_type, column.field_type):
            widened.append(have.name)
        elif not have.field_type.is_primitive and _takes(have.field_type, column.field_type, grows=True, widens=True):
            nested.append(have.name)
        else:
            clashing.append(f"'{have.name}' is {_in_both(have.field_type, column.field_type)}")
    return SchemaChange(tuple(added), tuple(widened), tuple(nested), tuple(clashing))


def beyond_additions(table: Schema, frame: Schema) -> tuple[str, ...]:
    """Why new optional columns and fields of structs do not let `table` hold `frame`, in words; empty if they do."""
    known = {column.name.lower(): column for column in table.fields}
    return tuple(
        f"column '{have.name}' is {_in_both(have.field_type, column.field_type)}"
        for column in frame.fields
        if (have := known.get(column.name.lower())) is not None
        and not _takes(have.field_type, column.field_type, grows=True)
    )


def _in_both(table: ib.IcebergType, frame: ib.IcebergType) -> str:
    return f"{type_words(table)} in the table and {type_words(frame)} in the result"


def _takes(table: ib.IcebergType, frame: ib.IcebergType, *, grows: bool = False, widens: bool = False) -> bool:
    """Whether a column of the table takes what the frame has, with null for fields of structs that the frame lacks.

    `grows`: once fields that its structs lack are added. `widens`: once its types become wider. Keys of maps stay as
    they are: Iceberg has no schema change for them.
    """
    if isinstance(table, ib.StructType) and isinstance(frame, ib.StructType):
        known = {field.name.lower(): field.field_type for field in table.fields}
        return all(
            grows if have is None else _takes(have, field.field_type, grows=grows, widens=widens)
            for field in frame.fields
            for have in (known.get(field.name.lower()),)
        )
    if isinstance(table, ib.ListType) and isinstance(frame, ib.ListType):
        return _takes(table.element_type, frame.element_type, grows=grows, widens=widens)
    if isinstance(table, ib.MapType) and isinstance(frame, ib.MapType):
        values = _takes(table.value_type, frame.value_type, grows=grows, widens=widens)
        return values and _takes(table.key_type, frame.key_type)
    return spark_ddl(table) == spark_ddl(frame) or fits(frame, table) or (widens and fits(table, frame))


def fits(narrow: ib.IcebergType, wide: ib.IcebergType) -> bool:
    """Whether Iceberg lets a column of type `narrow` become `wide` (spec: schema evolution)."""
    if isinstance(narrow, ib.IntegerType):
        return isinstance(wide, ib.LongType)
    if isinstance(narrow, ib.FloatType):
        return isinstance(wide, ib.DoubleType)
    if isinstance(narrow, ib.DecimalType) and isinstance(wide, ib.DecimalType):
        return narrow.scale == wide.scale and narrow.precision <= wide.precision
    return False
