"""Sinks lose nothing, repeat nothing, and leave alone what is not theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.spec import PipelineSpec, Problem

Find = Callable[..., tuple[Problem, ...]]
Data = dict[str, Any]


def sink(**fields: Any) -> Callable[[Data], object]:
    return lambda data: data["nodes"][2].update(fields)


def source(**fields: Any) -> Callable[[Data], object]:
    return lambda data: data["nodes"][0].update(source=fields)


def has(problems: tuple[Problem, ...], node: str, field: str, part: str) -> bool:
    return any((p.node, p.field) == (node, field) and part in str(p) for p in problems)


FULL: dict[str, Data] = {
    "iceberg": {"kind": "iceberg", "table": "a.b"},
    "as_of": {"kind": "iceberg", "table": "a.b", "read": "as_of", "snapshot": 1},
    "files": {"kind": "files", "format": "csv", "path": "x"},
    "jdbc": {"kind": "jdbc", "connection": "c", "table": "t"},
}
GOES_ON: dict[str, Data] = {
    "incremental": {"kind": "iceberg", "table": "a.b", "read": "incremental"},
    "kafka": {"kind": "kafka", "connection": "c", "topic": "t", "format": "text"},
    "jdbc": {"kind": "jdbc", "connection": "c", "table": "t", "incremental_column": "Größe in m²"},
    "rate": {"kind": "rate"},
}


@pytest.mark.parametrize("kind", FULL)
def test_d5_append_of_full_sources_repeats_rows_and_is_refused(problems_of: Find, kind: str) -> None:
    problems = problems_of(source(**FULL[kind]), sink(mode="append"))
    assert has(problems, "daily_orders", "mode", "would append all rows of 'orders' again; use read: incremental")


@pytest.mark.parametrize("kind", FULL)
def test_d5_append_of_full_sources_is_allowed_where_the_spec_says_repeat(problems_of: Find, kind: str) -> None:
    assert problems_of(source(**FULL[kind]), sink(mode="append", repeat=True)) == ()


@pytest.mark.parametrize("kind", GOES_ON)
def test_d5_append_of_a_source_that_goes_on_is_allowed(problems_of: Find, kind: str) -> None:
    assert problems_of(source(**GOES_ON[kind]), sink(mode="append")) == ()


def test_d5_one_incremental_source_among_full_ones_is_enough(problems_of: Find) -> None:
    def lookup(data: Data) -> None:
        data["nodes"].append({"id": "lookup", "type": "source", "source": FULL["files"]})
        data["nodes"][1]["sql"] = "SELECT * FROM orders JOIN lookup USING (id)"
        data["edges"].append({"from": "lookup", "to": "daily"})

    assert problems_of(lookup, source(**GOES_ON["incremental"]), sink(mode="append")) == ()
    assert has(problems_of(lookup, sink(mode="append")), "daily_orders", "mode", "'lookup', 'orders'")


def test_d5_append_behind_a_stream_is_allowed(problems_of: Find) -> None:
    def stream(data: Data) -> None:
        data["nodes"][1]["step"] = "sparkStream"

    assert problems_of(stream, source(**FULL["files"]), sink(mode="append")) == ()


@pytest.mark.parametrize("environment", ["development", "qa", "uat", "production"])
@pytest.mark.parametrize("form", ["sales__{}.orders2", "Sales__{}.orders2", "a.sales__{}.orders2", "a__{}.b.orders2"])
def test_d11_namespaces_of_environments_are_reserved(problems_of: Find, environment: str, form: str) -> None:
    table = form.format(environment)
    assert has(problems_of(sink(table=table)), "daily_orders", "table", f"reserved for {environment}; name the real")
    assert has(problems_of(source(kind="iceberg", table=table)), "orders", "source.table", "reserved for")


@pytest.mark.parametrize("table", ["sales_qa.t", "qa.t", "sales.orders__qa", "sales__staging.t"])
def test_d11_other_names_are_free(problems_of: Find, table: str) -> None:
    assert problems_of(sink(table=table)) == ()


def test_d11_two_sinks_of_one_table_are_refused(problems_of: Find) -> None:
    def second(data: Data) -> None:
        data["nodes"].append({"id": "again", "type": "sink", "table": "Sales.Daily_Orders", "mode": "overwrite"})
        data["edges"].append({"from": "daily", "to": "again"})

    problems = problems_of(second)
    assert has(problems, "again", "table", "'Sales.Daily_Orders' is also written by 'daily_orders'")
    assert has(problems, "daily_orders", "table", "is also written by 'again'; only one sink may write a table")


def test_reading_the_table_that_the_pipeline_writes_is_a_circle(problems_of: Find) -> None:
    problems = problems_of(source(kind="iceberg", table="sales.DAILY_orders"))
    assert has(problems, "orders", "source.table", "which its sink 'daily_orders' writes: a circle")


@pytest.mark.parametrize("last", ["branch_qa", "tag_x", "snapshot_id_1", "at_timestamp_1", "Branch_qa"])
def test_a_table_name_cannot_select_a_branch(problems_of: Find, last: str) -> None:
    assert has(problems_of(sink(table=f"sales.orders.{last}")), "daily_orders", "table", "a part of another table")
    assert has(problems_of(source(kind="iceberg", table=f"a.b.{last}")), "orders", "source.table", "part of another")


WRONG: list[tuple[Data, str, str]] = [
    ({"mode": "merge"}, "keys", "merge needs the columns that identify a row; write keys: [column, …]"),
    ({"keys": ["id"]}, "keys", "mode: overwrite takes no keys; write mode: merge, or remove keys"),
    ({"repeat": True}, "repeat", "mode: overwrite takes no repeat"),
    ({"mode": "overwrite_partitions"}, "partition_by", "set partition_by, or partition the pipeline"),
    ({"mode": "merge", "keys": ["id", "ID"]}, "keys", "'id' appears twice"),
    ({"sort_by": ["a", {"column": "a", "order": "desc"}]}, "sort_by", "'a' appears twice"),
    ({"partition_by": ["month(a)", "months(a)"]}, "partition_by", "'month(a)' appears twice"),
    ({"properties": {"location": "/x"}}, "properties.location", "may not be set by a pipeline"),
    (
        {"properties": {"write.data.path": "s3://x"}},
        "properties.write.data.path",
        "may not be set by a pipeline",
    ),
    ({"properties": {"gc.enabled": False}}, "properties.gc.enabled", "may not be set"),
    ({"properties": {"format-version": 3}}, "properties.format-version", "may not be set"),
    ({"properties": {"write.wap.enabled": True}}, "properties.write.wap.enabled", "may not be set"),
    ({"properties": {"drls.version": "x"}}, "properties.drls.version", "may not be set"),
    (
        {"properties": {"write.parquet.compresion-codec": "zstd"}},
        "properties.write.parquet.compresion-codec",
        "did you mean 'write.parquet.compression-codec'?",
    ),
    ({"properties": {"comment": ""}}, "properties.comment", "is empty or very long"),
]


@pytest.mark.parametrize(("fields", "field", "part"), WRONG, ids=[f"{w[1]}-{w[2][:20]}" for w in WRONG])
def test_a_sink_that_cannot_be_meant_is_refused(problems_of: Find, fields: Data, field: str, part: str) -> None:
    assert has(problems_of(sink(**fields)), "daily_orders", field, part)


def test_allowed_properties_become_text(spec_of: Callable[..., PipelineSpec]) -> None:
    properties = {"write.spark.fanout.enabled": True, "write.target-file-size-bytes": 1024, "comment": "x"}
    column = {"write.parquet.bloom-filter-enabled.column.id": "true"}
    spec = spec_of(sink(properties={**properties, **column}))
    assert spec.sinks[0].properties == {
        "write.spark.fanout.enabled": "true",
        "write.target-file-size-bytes": "1024",
        "comment": "x",
        **column,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "transform", "column", "argument"),
    [
        ("region", "identity", "region", None),
        ("identity(region)", "identity", "region", None),
        ("month(day)", "month", "day", None),
        ("months(day)", "month", "day", None),
        ("Days( at )", "day", "at", None),
        ("hour(at)", "hour", "at", None),
        ("years(at)", "year", "at", None),
        ("bucket(16, id)", "bucket", "id", 16),
        ("bucket(id, 16)", "bucket", "id", 16),
        ("truncate(4,a.b)", "truncate", "a.b", 4),
    ],
)
def test_partition_fields_have_one_normal_form(
    spec_of: Callable[..., PipelineSpec], text: str, transform: str, column: str, argument: int | None
) -> None:
    field = spec_of(sink(partition_by=[text])).sinks[0].partition_by[0]
    assert (field.transform, field.column, field.argument) == (transform, column, argument)


def test_columns_of_a_sink_must_be_in_the_declared_output(problems_of: Find) -> None:
    def ray(data: Data) -> None:
        data["nodes"][1] = {
            "id": "daily",
            "type": "transform",
            "step": "rayProcess",
            "python": "def process(batch): ...",
            "output_schema": {"day": "date", "Carrier": "string"},
        }

    assert problems_of(ray, sink(mode="merge", keys=["carrier"], partition_by=["month(day)"])) == ()
    problems = problems_of(ray, sink(mode="merge", keys=["carier"], sort_by=["dai"]))
    assert has(problems, "daily_orders", "columns", "'carier' is not in the output_schema of 'daily'; did you mean")
    assert has(problems, "daily_orders", "columns", "'dai'")


CHANGES: Data = {"kind": "iceberg", "table": "a.b", "read": "changes", "keys": ["id"]}


def test_d5_changes_feed_merge_sinks(problems_of: Find) -> None:
    assert problems_of(source(**CHANGES), sink(mode="merge", keys=["order_id"])) == ()


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_d5_changes_feed_no_other_sink(problems_of: Find, mode: str) -> None:
    problems = problems_of(source(**CHANGES), sink(mode=mode, keys=None))
    assert has(
        problems, "daily_orders", "mode", f"mode: {mode} cannot apply the updates and deletes that 'orders' reads"
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"read": "changes"}, "needs the columns that identify a row; write keys"),
        ({"read": "full", "keys": ["id"]}, "read: full takes no keys"),
        ({"read": "changes", "keys": ["a.b"]}, "a key is a column, not a field inside one"),
        ({"read": "changes", "keys": ["id"], "snapshot": 1}, "read: changes takes no snapshot or timestamp"),
    ],
)
def test_d5_keys_belong_to_changes(problems_of: Find, fields: Data, said: str) -> None:
    problems = problems_of(source(kind="iceberg", table="a.b", **fields), sink(mode="merge", keys=["order_id"]))
    assert any(said in str(one) for one in problems), problems
