"""Columns by the paths that people write, types by the words of pipeline files."""

from __future__ import annotations

import re
from difflib import get_close_matches
from itertools import count
from typing import TYPE_CHECKING

from pyiceberg import types as ib

from drls_dagster.lakehouse.columns import RESERVED, split_types
from drls_dagster.lakehouse.names import join_name, parts_of
from lifecycle.domain.evolution import told
from lifecycle.errors import Invalid, NotFound
from lifecycle.spec.columns import column_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyiceberg.schema import Schema

Path = tuple[str, ...]

# Letters of any language, digits and underscores, with single spaces or hyphens between them.
_NEW_NAME = re.compile(r"[^\W\d]\w*(?:[ -]\w+)*")
_OTHER_NAMES = {
    "bigint": "long", "integer": "int", "bool": "boolean", "text": "string", "varchar": "string",
    "timestamptz": "timestamp",
}  # fmt: skip
_SIMPLE: dict[str, ib.IcebergType] = {
    "boolean": ib.BooleanType(),
    "int": ib.IntegerType(),
    "long": ib.LongType(),
    "float": ib.FloatType(),
    "double": ib.DoubleType(),
    "string": ib.StringType(),
    "date": ib.DateType(),
    "timestamp": ib.TimestamptzType(),
    "timestamp_ntz": ib.TimestampType(),
    "binary": ib.BinaryType(),
}


def find_column(schema: Schema, text: str, table: str) -> tuple[Path, ib.NestedField]:
    """The exact path of a column, and its field. Raises NotFound, which names a similar one."""
    whole = next((field for field in schema.fields if field.name == text), None)
    if whole is not None:
        return (text,), whole
    path = split_path(text)
    fields: Sequence[ib.NestedField] = schema.fields
    found: ib.NestedField | None = None
    for part in path:
        found = next((field for field in fields if field.name == part), None)
        if found is None:
            raise _unknown(schema, text, table)
        fields = inside(found.field_type)
    if found is None:
        raise _unknown(schema, text, table)
    return path, found


def split_path(text: str) -> Path:
    """The parts of `address.city`, or of `"a.b".c`. Raises Invalid for what is no path."""
    parts = parts_of(text)
    if not parts:
        raise Invalid(f"{text!r} is no name of a column; write city, or address.city for a field of a struct")
    return parts


def shown(path: Path) -> str:
    """A path as people write it."""
    return join_name(path)


def inside(kind: ib.IcebergType) -> Sequence[ib.NestedField]:
    """The fields one level below, under the names that paths have."""
    match kind:
        case ib.StructType():
            return kind.fields
        case ib.ListType():
            return (kind.element_field,)
        case ib.MapType():
            return (kind.key_field, kind.value_field)
        case _:
            return ()


def siblings(schema: Schema, path: Path) -> Sequence[ib.NestedField]:
    """The fields of the level that `path` is on, itself among them where it is there."""
    return struct_at(schema, path[:-1]).fields if len(path) > 1 else schema.fields


def struct_at(schema: Schema, path: Path) -> ib.StructType:
    """The struct at `path`, or inside the list or map there. Raises Invalid for anything else."""
    field = schema.find_field(".".join(path))
    kind = field.field_type
    if isinstance(kind, ib.ListType):
        kind = kind.element_type
    elif isinstance(kind, ib.MapType):
        kind = kind.value_type
    if not isinstance(kind, ib.StructType):
        raise Invalid(f"{shown(path)} is {kind} and has no fields of its own")
    return kind


def require_new_name(name: str, taken: Sequence[ib.NestedField], but: int | None = None) -> None:
    """Raises Invalid for a name that not every engine reads, or that another column of the level has."""
    if not _NEW_NAME.fullmatch(name) or len(name) > 255:
        raise Invalid(
            f"{name!r} cannot be the name of a column: use at most 255 letters, digits and _, "
            "begin with a letter or _, and put single spaces or - only between words"
        )
    if name.lower() in RESERVED:
        raise Invalid(f"{name} is a name that Iceberg reserves; use another one")
    for one in taken:
        if one.field_id != but and one.name.lower() == name.lower():
            raise Invalid(f"there is already a column {one.name} there (case does not matter)")


def iceberg_type(text: str) -> ib.IcebergType:
    """The type that a pipeline file would write as `text`. Raises Invalid."""
    plain = text.strip()
    try:
        normal = column_type(_OTHER_NAMES.get(plain.lower(), plain))
    except ValueError as error:
        raise Invalid(" ".join(str(error).split())) from None
    return _of(normal, count(1))


def _of(text: str, ids: Iterator[int]) -> ib.IcebergType:
    if text in _SIMPLE:
        return _SIMPLE[text]
    outer, _, inner = text.partition("(" if text.startswith("decimal") else "<")
    if outer == "decimal":
        precision, _, scale = inner.rstrip(")").partition(",")
        return ib.DecimalType(int(precision), int(scale))
    parts = list(split_types(inner[:-1]))
    if outer == "array":
        return ib.ListType(next(ids), _of(parts[0], ids), element_required=False)
    if outer == "map":
        return ib.MapType(next(ids), _of(parts[0], ids), next(ids), _of(parts[1], ids), value_required=False)
    named = [part.partition(":") for part in parts]
    fields: list[ib.NestedField] = []
    for name, _, kind in named:
        require_new_name(name, fields)
        fields.append(ib.NestedField(next(ids), name, _of(kind, ids), required=False))
    return ib.StructType(*fields)


def _unknown(schema: Schema, text: str, table: str) -> NotFound:
    names = schema.column_names
    by_lower = {name.lower(): name for name in names}
    near = [by_lower[one] for one in get_close_matches(text.lower(), list(by_lower), n=1, cutoff=0.7)]
    hint = f"did you mean {near[0]}?" if near else f"it has: {told([field.name for field in schema.fields])}"
    return NotFound(f"{table} has no column {text!r}; {hint}")
