"""Column types: from Spark's schema (as JSON) to Iceberg, and from Iceberg to Spark's DDL. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import pyarrow as pa
from pyiceberg import types as ib
from pyiceberg.schema import Schema

from drls_dagster.errors import DrlsError

_SIMPLE: dict[str, ib.PrimitiveType] = {
    "boolean": ib.BooleanType(),
    "byte": ib.IntegerType(),
    "short": ib.IntegerType(),
    "integer": ib.IntegerType(),
    "long": ib.LongType(),
    "float": ib.FloatType(),
    "double": ib.DoubleType(),
    "string": ib.StringType(),
    "date": ib.DateType(),
    "timestamp": ib.TimestamptzType(),
    "timestamp_ntz": ib.TimestampType(),
    "binary": ib.BinaryType(),
}
_DDL: dict[type[ib.IcebergType], str] = {
    ib.BooleanType: "boolean",
    ib.IntegerType: "int",
    ib.LongType: "bigint",
    ib.FloatType: "float",
    ib.DoubleType: "double",
    ib.StringType: "string",
    ib.UUIDType: "string",
    ib.DateType: "date",
    ib.TimestamptzType: "timestamp",
    ib.TimestampType: "timestamp_ntz",
    ib.BinaryType: "binary",
    ib.FixedType: "binary",
}
# Spark reads these of every Iceberg table, and no row-level write works on a table that has one of its own.
RESERVED = frozenset(
    {"_file", "_pos", "_deleted", "_spec_id", "_partition", "_row_id", "_last_updated_sequence_number"}
)
_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")


class UnsupportedColumn(DrlsError):
    """A column has a type that an Iceberg table cannot hold."""


def iceberg_schema(spark_schema: Mapping[str, Any]) -> Schema:
    """An Iceberg schema, every column optional, from `DataFrame.schema.jsonValue()`.

    Raises UnsupportedColumn naming the column.
    """
    for field in spark_schema["fields"]:
        if field["name"].lower() in RESERVED:
            raise UnsupportedColumn(f"column '{field['name']}' has a name that Iceberg reserves; rename it")
    ids = count(1)
    return Schema(*_fields(spark_schema["fields"], ids, ""))


def _fields(fields: list[Mapping[str, Any]], ids: Iterator[int], path: str) -> list[ib.NestedField]:
    seen: set[str] = set()
    for name in (field["name"] for field in fields):
        if name.lower() in seen:
            raise UnsupportedColumn(
                f"there are two columns '{path}{name}' (case does not matter); rename or remove one"
            )
        seen.add(name.lower())
    for field in fields:
        kind = field["type"]
        parts = kind["fields"] if isinstance(kind, dict) and kind["type"] == "struct" else ()
        twin = next((name for part in parts if (name := f"{field['name']}.{part['name']}").lower() in seen), None)
        if twin is not None:
            raise UnsupportedColumn(
                f"the column '{path}{twin}' has the name of a field of '{path}{field['name']}'; rename one of them"
            )
    made = [(next(ids), field) for field in fields]
    return [
        ib.NestedField(number, field["name"], _type(field["type"], ids, f"{path}{field['name']}"), required=False)
        for number, field in made
    ]


def _type(spark: Any, ids: Iterator[int], path: str) -> ib.IcebergType:
    if isinstance(spark, str):
        if spark in _SIMPLE:
            return _SIMPLE[spark]
        if found := _DECIMAL.fullmatch(spark):
            return ib.DecimalType(int(found[1]), int(found[2]))
        if spark.startswith(("varchar", "char")):
            return ib.StringType()
        what = "has no type (it is always null)" if spark in {"void", "null"} else f"is of Spark's type {spark}"
        raise UnsupportedColumn(f"column '{path}' {what}, which an Iceberg table cannot hold; cast it")
    kind = spark["type"]
    if kind == "struct":
        if not spark["fields"]:
            raise UnsupportedColumn(f"column '{path}' is a struct without fields; leave it out, or name a field in it")
        return ib.StructType(*_fields(spark["fields"], ids, f"{path}."))
    if kind == "array":
        element = next(ids)
        return ib.ListType(element, _type(spark["elementType"], ids, f"{path}.element"), element_required=False)
    if kind == "map":
        key, value = next(ids), next(ids)
        key_type = _type(spark["keyType"], ids, f"{path}.key")
        return ib.MapType(key, key_type, value, _type(spark["valueType"], ids, f"{path}.value"), value_required=False)
    raise UnsupportedColumn(f"column '{path}' is of Spark's type {kind}, which an Iceberg table cannot hold; cast it")


def spark_quoted(name: str) -> str:
    """A name as Spark's SQL takes it, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def has_map(kind: ib.IcebergType) -> bool:
    """Whether a type is a map, or has one in it."""
    match kind:
        case ib.MapType():
            return True
        case ib.ListType():
            return has_map(kind.element_type)
        case ib.StructType():
            return any(has_map(field.field_type) for field in kind.fields)
        case _:
            return False


def type_words(kind: ib.IcebergType) -> str:
    """The type in the words of a pipeline file: Iceberg calls the timestamps otherwise."""
    match kind:
        case ib.TimestamptzType():
            return "timestamp"
        case ib.TimestampType():
            return "timestamp_ntz"
        case ib.StructType():
            return "struct<" + ", ".join(f"{field.name}: {type_words(field.field_type)}" for field in kind.fields) + ">"
        case ib.ListType():
            return f"array<{type_words(kind.element_type)}>"
        case ib.MapType():
            return f"map<{type_words(kind.key_type)}, {type_words(kind.value_type)}>"
        case _:
            return str(kind)


def spark_ddl(kind: ib.IcebergType) -> str:
    """The type as Spark writes it in DDL and in `cast`."""
    if isinstance(kind, ib.DecimalType):
        return f"decimal({kind.precision},{kind.scale})"
    if isinstance(kind, ib.StructType):
        return "struct<" + ",".join(f"`{f.name}`:{spark_ddl(f.field_type)}" for f in kind.fields) + ">"
    if isinstance(kind, ib.ListType):
        return f"array<{spark_ddl(kind.element_type)}>"
    if isinstance(kind, ib.MapType):
        return f"map<{spark_ddl(kind.key_type)},{spark_ddl(kind.value_type)}>"
    try:
        return _DDL[type(kind)]
    except KeyError:
        raise UnsupportedColumn(f"Iceberg's type {kind} is not one that Spark writes") from None


def spark_ddl_of_spec(columns: Mapping[str, str]) -> str:
    """The DDL of a schema as a pipeline file writes it (`{id: long, at: timestamp}`)."""
    # Spark's DDL parser knows `long` and `int`, and struct fields the same way.
    return ", ".join(f"`{name.replace('`', '``')}` {kind}" for name, kind in columns.items())


_ARROW: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "binary": pa.binary(),
}


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """The Arrow schema of columns as a pipeline file writes them; the spec has checked the types."""
    return pa.schema([pa.field(name, arrow_type(kind)) for name, kind in columns.items()])


def arrow_type(kind: str) -> pa.DataType:
    if kind in _ARROW:
        return _ARROW[kind]
    if found := _DECIMAL.fullmatch(kind):
        return pa.decimal128(int(found[1]), int(found[2]))
    outer, inner = kind.split("<", 1)
    parts = list(split_types(inner[:-1]))
    if outer == "array":
        return pa.list_(arrow_type(parts[0]))
    if outer == "map":
        return pa.map_(arrow_type(parts[0]), arrow_type(parts[1]))
    return pa.struct([pa.field(name, arrow_type(of)) for name, _, of in (part.partition(":") for part in parts)])


def split_types(text: str) -> Iterator[str]:
    """The parts between the commas that are in no bracket."""
    depth = start = 0
    for at, letter in enumerate(text):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]
