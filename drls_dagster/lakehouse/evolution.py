"""How a table follows the frames that are written to it: additions, widenings, and what cannot be."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyiceberg import types as ib
from pyiceberg.schema import Schema

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.columns import spark_ddl


class SchemaConflict(DrlsError):
    """The frame does not fit the table, and the sink's `on_schema_change` does not allow to change it."""


@dataclass(frozen=True)
class SchemaChange:
    """What would have to change in the table for a frame to fit. Column names are the table's, or the new ones."""

    added: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()  # structs, lists and maps that differ inside
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
        elif spark_ddl(have.field_type) == spark_ddl(column.field_type) or _fits(column.field_type, have.field_type):
            continue
        elif _fits(have.field_type, column.field_type):
            widened.append(have.name)
        elif not have.field_type.is_primitive and type(have.field_type) is type(column.field_type):
            nested.append(have.name)
        else:
            clashing.append(f"'{have.name}' is {have.field_type} in the table and {column.field_type} in the result")
    return SchemaChange(tuple(added), tuple(widened), tuple(nested), tuple(clashing))


def _fits(narrow: ib.IcebergType, wide: ib.IcebergType) -> bool:
    """Whether Iceberg lets a column of type `narrow` become `wide` (spec: schema evolution)."""
    if isinstance(narrow, ib.IntegerType):
        return isinstance(wide, ib.LongType)
    if isinstance(narrow, ib.FloatType):
        return isinstance(wide, ib.DoubleType)
    if isinstance(narrow, ib.DecimalType) and isinstance(wide, ib.DecimalType):
        return narrow.scale == wide.scale and narrow.precision <= wide.precision
    return False
