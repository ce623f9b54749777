"""What people see where a sink's columns or layout cannot be a table: sink, column and remedy (finding 26)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import IntegerType, ListType, NestedField, StructType, TimestamptzType

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.columns import UnsupportedColumn, iceberg_schema
from drls_dagster.lakehouse.locating import look_at
from drls_dagster.lakehouse.prepare import prepare_table
from drls_dagster.steps.write import what_write_refused
from lifecycle.domain.environment import Environment
from lifecycle.spec import SinkNode, parse_pipeline

DEVELOPMENT = Environment.DEVELOPMENT
MAP = {"type": "map", "keyType": "string", "valueType": "long", "valueContainsNull": True}
LIST = {"type": "array", "elementType": "long", "containsNull": True}
TYPES = {"id": "long", "name": "string", "at": "timestamp", "wall": "timestamp_ntz", "d": "date", "x": "double",
         "dec": "decimal(10,2)", "b": "boolean", "m": MAP, "l": LIST}  # fmt: skip
NUMBERS = "a whole number, a decimal, a date, a timestamp, a text or a binary"


def spark(**types: Any) -> dict[str, Any]:
    return {"fields": [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in types.items()]}


def struct(**types: Any) -> dict[str, Any]:
    return {"type": "struct", **spark(**types)}


def sink(**more: Any) -> SinkNode:
    nodes = [
        {"id": "raw", "type": "source", "source": {"kind": "files", "format": "csv", "path": "*.csv"}},
        {"id": "out", "type": "sink", "table": "ns.out", "mode": "overwrite", **more},
    ]
    text = {"format_version": 1, "name": "p", "nodes": nodes, "edges": [{"from": "raw", "to": "out"}]}
    found = parse_pipeline(json.dumps(text)).node("out")
    assert isinstance(found, SinkNode)
    return found


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqlCatalog]:
    made = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}/warehouse")
    yield made
    made.close()


def refused(catalog: SqlCatalog, columns: dict[str, Any], **more: Any) -> str:
    node = sink(**more)
    with pytest.raises(DrlsError) as error:
        prepare_table(
            catalog, look_at(catalog, DEVELOPMENT, node.table), node, iceberg_schema(spark(**columns)), "p", free=True
        )
    said = str(error.value)
    assert said.startswith("sink 'out'")
    assert "; " in said
    assert not re.search(r"timestamptz|list<|optional|Cannot |Invalid |\d: ", said), "words of PyIceberg's"
    return said


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("day(name)", "'name' is string: day takes a date or a timestamp"),
        ("month(id)", "'id' is long: month takes a date or a timestamp"),
        ("year(x)", "'x' is double: year takes a date or a timestamp"),
        ("hour(d)", "'d' is date: hour takes a timestamp"),
        ("bucket(16, x)", f"'x' is double: bucket takes {NUMBERS}"),
        ("bucket(16, b)", f"'b' is boolean: bucket takes {NUMBERS}"),
        ("bucket(4, m)", f"'m' is map<string, long>: bucket takes {NUMBERS}"),
        ("truncate(3, d)", "'d' is date: truncate takes a whole number, a decimal, a text or a binary"),
        ("m", "'m' is map<string, long>: identity takes a single value"),
        ("l", "'l' is array<long>: identity takes a single value"),
    ],
)
def test_a_partition_that_iceberg_cannot_make_is_refused_before_there_is_a_table(
    catalog: SqlCatalog, field: str, told: str
) -> None:
    """Failed before: the table was made, and from then on Spark could not even open it."""
    said = refused(catalog, TYPES, partition_by=[field])
    assert said == f"sink 'out' partitions by {field}, but {told}; cast the column, or partition by another one"
    assert look_at(catalog, DEVELOPMENT, "ns.out").table is None


@pytest.mark.parametrize(
    ("columns", "more", "told"),
    [
        (TYPES, {"partition_by": ["gone"]}, "names column 'gone', which its input lacks; it has id, name"),
        (
            {"at": "timestamp", "at_day": "long"},
            {"partition_by": ["day(at)"]},
            "which Iceberg calls 'at_day' as a column of the input; rename that column",
        ),
        (TYPES, {"sort_by": ["m"]}, "sorts by 'm', which is map<string, long> and has no order; sort by one of its"),
        (
            TYPES,
            {"mode": "merge", "keys": ["m"]},
            "merges by 'm', which is map<string, long> and cannot be compared; merge by another column",
        ),
        ({"": "long"}, {}, "a column of its input has an empty name; name it with AS"),
        (
            TYPES,
            {"properties": {"write.parquet.compression-codec": "nope"}},
            "the property write.parquet.compression-codec is 'nope', but parquet files are compressed with zstd, ",
        ),
        (TYPES, {"properties": {"write.format.default": "csv"}}, "is 'csv', but Iceberg writes parquet, orc, avro; "),
        (
            TYPES,
            {"properties": {"write.target-file-size-bytes": "128 MB"}},
            "is '128 MB', but a whole number is needed; correct it",
        ),
    ],
)
def test_a_layout_that_cannot_be_is_refused_with_the_remedy(
    catalog: SqlCatalog, columns: dict[str, Any], more: dict[str, Any], told: str
) -> None:
    """Failed before, except for the first: words of PyIceberg's or Java's, or a table that could not be written."""
    assert told in refused(catalog, columns, **more)
    assert look_at(catalog, DEVELOPMENT, "ns.out").table is None


@pytest.mark.parametrize(
    ("have", "frame", "told"),
    [
        (IntegerType(), "string", "'c' is int in the table and string in the result"),
        (TimestamptzType(), "timestamp_ntz", "'c' is timestamp in the table and timestamp_ntz in the result"),
        (
            ListType(2, IntegerType(), element_required=False),
            {"type": "array", "elementType": "string", "containsNull": True},
            "'c' is array<int> in the table and array<string> in the result",
        ),
        (
            StructType(NestedField(2, "a", IntegerType(), required=False)),
            struct(a="string"),
            "'c' is struct<a: int> in the table and struct<a: string> in the result",
        ),
    ],
)
def test_a_type_that_clashes_is_named_as_pipelines_write_it(
    catalog: SqlCatalog, have: Any, frame: Any, told: str
) -> None:
    """Failed before: `timestamptz`, `list<int>` and `struct<2: a: optional int>`."""
    location = look_at(catalog, DEVELOPMENT, "ns.out").location
    catalog.create_namespace(location.identifier[:1])
    catalog.create_table(location.identifier, Schema(NestedField(1, "c", have, required=False)))
    said = refused(catalog, {"c": frame})
    assert said.endswith(f": {told}; cast the column, or set on_schema_change: rebuild")


def test_good_layouts_are_made(catalog: SqlCatalog) -> None:
    fields = ["hour(at)", "day(wall)", "month(d)", "bucket(4, dec)", "truncate(3, name)", "b", "x"]
    node = sink(partition_by=fields, sort_by=["id"], properties={"write.parquet.compression-codec": "ZSTD"})
    schema = iceberg_schema(spark(**TYPES))
    prepare_table(catalog, look_at(catalog, DEVELOPMENT, node.table), node, schema, "p", free=True)
    met_again = prepare_table(catalog, look_at(catalog, DEVELOPMENT, node.table), node, schema, "p", free=True)
    assert len(met_again.table.spec().fields) == len(fields)


def test_a_column_and_a_field_of_the_same_path_are_refused() -> None:
    """Failed before: "Invalid schema, multiple fields for name a.b"."""
    columns = {"a.b": "long", "a": struct(b="long")}
    with pytest.raises(
        UnsupportedColumn, match=r"the column 'a\.b' has the name of a field of 'a'; rename one of them"
    ):
        iceberg_schema(spark(**columns))


def test_a_struct_without_fields_is_refused() -> None:
    """What a source of JSON finds in `{"a": {}}`, and no file can hold."""
    with pytest.raises(UnsupportedColumn, match=r"column 'l\.element' is a struct without fields; leave it out, or"):
        iceberg_schema(spark(l={"type": "array", "elementType": struct(), "containsNull": True}))


def test_a_message_in_a_plan_is_not_what_a_write_refused() -> None:
    """Failed before: merging by a map said that rows had the same key, with the rest of Spark's plan."""
    message = "DRLS: the result has several rows with the same id; merge needs one row for each key"
    plan = f"[UNSUPPORTED_EXPR] cannot window by a map:\n+- CASE WHEN x ELSE cast(raise_error({message}), NullType) END"
    raised = f"Job aborted.\n[USER_RAISED_EXCEPTION] {message} SQLSTATE: P0001\n\tat org.apache"
    assert what_write_refused(RuntimeError(plan)) is None
    assert what_write_refused(RuntimeError(raised)) == message.removeprefix("DRLS: ")
