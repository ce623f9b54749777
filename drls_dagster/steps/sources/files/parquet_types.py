"""Types of Parquet columns: as Spark reads them, what becomes of them, and which of two holds both."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import Column

_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_INTS = ("tinyint", "smallint", "int", "bigint")
_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
_NAMES = {"long": "bigint"}


@dataclass(frozen=True)
class Leaf:
    """One column's values. `read` is the type that Spark reads them as, `kind` what they are then made to be."""

    read: str
    kind: str
    told: str  # the file's type, for people
    why: str = ""  # why it cannot be read; reported only to those who use the column


@dataclass(frozen=True)
class Struct:
    fields: Mapping[str, Kind]


@dataclass(frozen=True)
class Array:
    element: Kind


@dataclass(frozen=True)
class Map:
    key: Kind
    value: Kind


Kind = Leaf | Struct | Array | Map


class Clash(Exception):
    """Two types of which none holds both."""


def kinds_of(schema: Any, arrow: pa.Schema) -> dict[str, Kind]:
    """The columns of a file: structure as Arrow reads it, types as the file itself has them."""
    leaves = (schema.column(at) for at in range(len(schema)))
    return {field.name: _kind(field.type, leaves) for field in arrow}


def told(kind: Kind) -> str:
    """The file's type, for people."""
    return kind.told if isinstance(kind, Leaf) else re.sub(r"`", "", ddl(kind))


def ddl(kind: Kind, *, read: bool = False) -> str:
    """The type in Spark's DDL: what it is made to be, or what it is read as."""
    if isinstance(kind, Leaf):
        return kind.read if read else kind.kind
    if isinstance(kind, Struct):
        inside = ",".join(f"`{name.replace('`', '``')}`:{ddl(of, read=read)}" for name, of in kind.fields.items())
        return f"struct<{inside}>"
    if isinstance(kind, Array):
        return f"array<{ddl(kind.element, read=read)}>"
    return f"map<{ddl(kind.key, read=read)},{ddl(kind.value, read=read)}>"


def leaves_of(kind: Kind) -> Iterator[Leaf]:
    if isinstance(kind, Leaf):
        yield kind
    elif isinstance(kind, Struct):
        for of in kind.fields.values():
            yield from leaves_of(of)
    elif isinstance(kind, Array):
        yield from leaves_of(kind.element)
    else:
        yield from leaves_of(kind.key)
        yield from leaves_of(kind.value)


def twins_of(kind: Kind, path: str) -> list[str]:
    """Fields of one struct in a column that differ in case only, with their paths; none without such."""
    if isinstance(kind, Leaf):
        return []
    if isinstance(kind, Struct):
        seen: dict[str, str] = {}
        for name in kind.fields:
            if name.lower() in seen:
                return [f"{path}.{seen[name.lower()]}", f"{path}.{name}"]
            seen[name.lower()] = name
        inner = [(of, f"{path}.{name}") for name, of in kind.fields.items()]
    else:
        inner = [(of, path) for of in ([kind.element] if isinstance(kind, Array) else [kind.key, kind.value])]
    return next((found for of, where in inner if (found := twins_of(of, where))), [])


def both(one: Kind, other: Kind) -> Kind:
    """The type that holds what two files have in a column, whichever comes first. Raises Clash."""
    if isinstance(one, Leaf) and isinstance(other, Leaf):
        kind = _wider(one.kind, other.kind)
        return Leaf(kind, kind, kind, one.why or other.why)
    if isinstance(one, Struct) and isinstance(other, Struct):
        fields = dict(one.fields)
        spelled = {name.lower(): name for name in fields}
        for name, kind in other.fields.items():
            known = spelled.get(name.lower())
            fields[known or name] = both(fields[known], kind) if known else kind
        return Struct(fields)
    if isinstance(one, Array) and isinstance(other, Array):
        return Array(both(one.element, other.element))
    if isinstance(one, Map) and isinstance(other, Map):
        return Map(both(one.key, other.key), both(one.value, other.value))
    void = next((kind for kind in (one, other) if isinstance(kind, Leaf) and kind.kind == "void"), None)
    if void is not None:
        return other if void is one else one
    raise Clash


def declared(text: str) -> Kind:
    """A type as a pipeline file writes it."""
    from drls_dagster.lakehouse.columns import split_types

    if "<" not in text:
        kind = _NAMES.get(text, text)
        return Leaf(kind, kind, text)
    outer, inner = text.split("<", 1)
    parts = list(split_types(inner[:-1]))
    if outer == "array":
        return Array(declared(parts[0]))
    if outer == "map":
        return Map(declared(parts[0]), declared(parts[1]))
    return Struct({name: declared(of) for name, _, of in (part.partition(":") for part in parts)})


def becomes(have: Kind, want: Kind) -> bool:
    """Whether a file's column can be read as the declared type without a loss that nobody has asked for."""
    if isinstance(have, Leaf) and isinstance(want, Leaf):
        if have.why:
            return have.told.startswith("time[") and want.kind == "string"
        return _becomes(have.kind, want.kind)
    if isinstance(have, Struct) and isinstance(want, Struct):
        known = {name.lower(): kind for name, kind in have.fields.items()}
        return all(
            name.lower() not in known or becomes(known[name.lower()], kind) for name, kind in want.fields.items()
        )
    if isinstance(have, Array) and isinstance(want, Array):
        return becomes(have.element, want.element)
    if isinstance(have, Map) and isinstance(want, Map):
        return becomes(have.key, want.key) and becomes(have.value, want.value)
    return isinstance(have, Leaf) and have.kind == "void"


def fitted(column: Column, have: Kind, want: Kind, fail: Callable[[str], Column]) -> Column:
    """A column as it was read, as the type that is wanted."""
    from pyspark.sql.connect.functions import builtin as f

    if ddl(have, read=True) == ddl(want) and all(leaf.read == leaf.kind and not leaf.why for leaf in leaves_of(have)):
        return column
    if isinstance(have, Leaf) and have.kind == "void":
        return f.lit(None).cast(ddl(want))
    if isinstance(have, Leaf):
        return _fitted_leaf(column, have, want, fail)
    if isinstance(have, Struct) and isinstance(want, Struct):
        known = {name.lower(): (name, kind) for name, kind in have.fields.items()}
        parts: list[Column] = []
        for name, kind in want.fields.items():
            own = known.get(name.lower())
            part = f.lit(None).cast(ddl(kind)) if own is None else fitted(column[own[0]], own[1], kind, fail)
            parts.append(part.alias(name))
        return f.when(column.isNotNull(), f.struct(*parts))
    if isinstance(have, Array) and isinstance(want, Array):
        return f.transform(column, lambda one: fitted(one, have.element, want.element, fail))
    if isinstance(have, Map) and isinstance(want, Map):
        values = f.transform_values(column, lambda _, value: fitted(value, have.value, want.value, fail))
        return f.transform_keys(values, lambda key, _: fitted(key, have.key, want.key, fail))
    return column.cast(ddl(want))


def _fitted_leaf(column: Column, have: Leaf, want: Kind, fail: Callable[[str], Column]) -> Column:
    from pyspark.sql.connect.functions import builtin as f

    target = ddl(want)
    unit = have.told.partition("[")[2].rstrip("]").partition(",")[0]
    if have.told.startswith("time[") and target == "string" and not (isinstance(want, Leaf) and want.why):
        nanos = column.cast("bigint") * f.lit({"ms": 1_000_000, "us": 1_000, "ns": 1}[unit])
        micros = f.call_function("div", nanos, f.lit(1000))
        return f.date_format(f.timestamp_micros(micros), "HH:mm:ss.SSSSSS")
    if have.why:
        return f.when(column.isNotNull(), fail(have.why).cast(target)).otherwise(f.lit(None).cast(target))
    if have.told.startswith("timestamp[ns"):
        column = f.timestamp_micros(f.call_function("div", column, f.lit(1000))).cast(have.kind)  # cut off
    elif have.told == "uuid":
        digits = f.lower(f.hex(column))
        column = f.concat_ws(
            "-", *(f.substring(digits, at, n) for at, n in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12)))
        )
        column = f.when(digits.isNotNull(), column)
    return column if ddl(want) == have.kind else column.cast(target)


def _wider(one: str, other: str) -> str:
    if one == other:
        return one
    pair = {one, other}
    if "void" in pair:
        return next(kind for kind in (one, other) if kind != "void")
    if pair <= {*_INTS}:
        return max(pair, key=_INTS.index)
    if pair <= {*_INTS, "float", "double"} or ("double" in pair and any(map(_DECIMAL.fullmatch, pair))):
        return "double"
    sizes = [_size(kind) for kind in pair]
    if all(sizes):
        whole = max(digits - scale for digits, scale in sizes)  # pyright: ignore[reportGeneralTypeIssues]
        scale = max(scale for _, scale in sizes)  # pyright: ignore[reportGeneralTypeIssues]
        if whole + scale <= 38:
            return f"decimal({whole + scale},{scale})"
    if pair == {"date", "timestamp_ntz"}:
        return "timestamp_ntz"
    raise Clash


def _size(kind: str) -> tuple[int, int] | None:
    """Digits and scale of a number that is exact."""
    found = _DECIMAL.fullmatch(kind)
    if found:
        return int(found[1]), int(found[2])
    return (_DIGITS[kind], 0) if kind in _DIGITS else None


def _becomes(have: str, want: str) -> bool:
    if have in {want, "void"} or {have, want} == {"string", "binary"}:
        return True
    if {have, want} <= {"timestamp", "timestamp_ntz"} or (have == "date" and want.startswith("timestamp")):
        return True
    if have in {*_INTS, "float"} and want == "double":
        return True
    if have in {"tinyint", "smallint"} and want == "float":
        return True
    own, other = _size(have), _size(want)
    if own and other and want in _INTS:
        return have in _INTS and own[0] <= other[0]
    return bool(own and other and own[0] - own[1] <= other[0] - other[1] and own[1] <= other[1])


def _kind(arrow: pa.DataType, leaves: Iterator[Any]) -> Kind:
    if isinstance(arrow, pa.BaseExtensionType):
        arrow = arrow.storage_type
    types = pa.types
    if types.is_struct(arrow):
        return Struct({field.name: _kind(field.type, leaves) for field in arrow})
    if types.is_map(arrow):
        key = _kind(arrow.key_type, leaves)
        return Map(key, _kind(arrow.item_type, leaves))
    if types.is_list(arrow) or types.is_large_list(arrow) or types.is_fixed_size_list(arrow):
        return Array(_kind(arrow.value_type, leaves))
    return _leaf(next(leaves))


def _leaf(column: Any) -> Leaf:
    logical = json.loads(column.logical_type.to_json())
    kind, physical = logical["Type"], column.physical_type
    if kind == "Timestamp":
        zoned = "timestamp" if logical["isAdjustedToUTC"] else "timestamp_ntz"
        if logical["timeUnit"] == "nanoseconds":
            return Leaf("bigint", zoned, f"timestamp[ns{', UTC' if logical['isAdjustedToUTC'] else ''}]")
        return Leaf(zoned, zoned, zoned)
    if kind == "Time":
        unit = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}[logical["timeUnit"]]
        why = "a time of day, which Spark does not support; declare the column as `string` in the source's schema"
        return Leaf("int" if unit == "ms" else "bigint", "string", f"time[{unit}]", why)
    if kind == "Decimal":
        digits, scale = column.precision, column.scale
        if digits > 38:
            why = "a number with more digits than Spark's 38; write it as text"
            return Leaf("binary", "string", f"decimal({digits},{scale})", why)
        return Leaf(f"decimal({digits},{scale})", f"decimal({digits},{scale})", f"decimal({digits},{scale})")
    if kind == "Int":
        bits, signed = logical["bitWidth"], logical["isSigned"]
        name = {8: "tinyint", 16: "smallint", 32: "int", 64: "bigint"}[bits]
        read = name if signed else {8: "smallint", 16: "int", 32: "bigint", 64: "decimal(20,0)"}[bits]
        return Leaf(read, read, f"{'' if signed else 'unsigned '}{name}")
    if kind == "UUID":
        return Leaf("binary", "string", "uuid")
    if kind in {"Float16", "Interval"}:
        what = {"Float16": "a half-precision number", "Interval": "an interval"}[kind]
        return Leaf("binary", "string", kind.lower(), f"{what}, which Spark cannot read; write another type")
    simple = {"String": "string", "Enum": "string", "JSON": "string", "Date": "date", "Null": "void"}.get(kind)
    if simple == "void":
        return Leaf("int", "void", "a column without values")
    read = simple or {
        "BOOLEAN": "boolean",
        "INT32": "int",
        "INT64": "bigint",
        "INT96": "timestamp",
        "FLOAT": "float",
        "DOUBLE": "double",
    }.get(physical, "binary")
    return Leaf(read, read, read)
