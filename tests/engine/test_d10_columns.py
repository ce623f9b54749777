"""D10: columns come and go between versions; every kind of column and name that a frame may have."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Lab, Step, files, iceberg, monitor, on, python, sink, sql
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType

from drls_dagster.lakehouse.evolution import SchemaConflict
from drls_dagster.lakehouse.locating import TableLook
from drls_dagster.lakehouse.naming import TableLocation
from drls_dagster.lakehouse.prepare import prepare_table
from drls_dagster.lakehouse.rebuild import put_back
from drls_dagster.steps.sink import NotPublished


def version(lab: Lab, query: str, mode: str = "overwrite", **more: Any) -> str:
    return lab.pipeline(
        files("raw", lab.path("*.csv"), id="long", n="int"),
        sql("shaped", query),
        sink("out", lab.named("out"), mode, **more),
        flow="raw>shaped>out",
    )


@pytest.mark.parametrize(
    ("mode", "more", "expected"),
    [
        ("append", {"repeat": True}, [(1, 10, "new"), (1, 10, None), (1, 11, None)]),
        ("overwrite", {}, [(1, 11, None)]),
        ("overwrite_partitions", {"partition_by": ["id"]}, [(1, 11, None)]),
        ("merge", {"keys": ["id"]}, [(1, 11, "new")]),  # what the result lacks keeps its value
    ],
)
def test_d10_an_older_version_goes_on_after_a_newer_one_added_a_column(
    lab: Lab, mode: str, more: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    old, new = (version(lab, query, mode, **more) for query in ("SELECT * FROM raw", "SELECT *, 'new' AS b FROM raw"))
    lab.file("a.csv", "id,n\n1,10\n")
    lab.prepare(old).sink("out")
    lab.prepare(new).sink("out")
    lab.file("a.csv", "id,n\n1,11\n")
    lab.prepare(old).sink("out")
    assert lab.rows("out") == expected


def test_d10_on_schema_change_adds_widens_fails_or_rebuilds(lab: Lab) -> None:
    lab.file("a.csv", "id,n\n1,10\n")
    lab.prepare(version(lab, "SELECT * FROM raw")).sink("out")
    with pytest.raises(SchemaConflict, match=r"column 'b' is new; on_schema_change is fail"):
        lab.prepare(version(lab, "SELECT *, 1 AS b FROM raw", on_schema_change="fail")).sink("out")
    lab.prepare(version(lab, "SELECT id, CAST(n AS BIGINT) + 3000000000 AS n FROM raw", "append", repeat=True)).sink(
        "out"
    )
    assert lab.rows("out") == [(1, 10), (1, 3_000_000_010)]
    clash = "SELECT id, CAST(n AS STRING) AS n FROM raw"
    with pytest.raises(SchemaConflict, match=r"'n' is long in the table and string in the result; cast the column, or"):
        lab.prepare(version(lab, clash)).sink("out")
    assert lab.rows("out") == [(1, 10), (1, 3_000_000_010)]
    lab.prepare(version(lab, clash, on_schema_change="rebuild")).sink("out")
    assert lab.rows("out") == [(1, "10")]


def test_d10_every_column_type_is_written_and_nested_ones_grow(lab: Lab) -> None:
    lab.file("a.csv", "id,n\n1,10\n")
    types = (
        "SELECT id, CAST(1.5 AS DECIMAL(10,2)) AS d, named_struct('x', 1, 'y', array('z')) AS s, array(1L) AS l, "
        "map('k', named_struct('v', 1.0D)) AS m, TIMESTAMP_NTZ'2024-01-01 00:00:00' AS t, X'00ff' AS b, "
        "DATE'2024-01-01' AS day, TIMESTAMP'2024-01-01 00:00:00Z' AS at, CAST(1 AS TINYINT) AS tiny FROM raw"
    )
    for _ in range(2):
        lab.prepare(version(lab, types)).sink("out")
    (row,) = lab.table("out").scan().to_arrow().to_pylist()
    assert (str(row["d"]), row["s"], row["l"], row["b"]) == ("1.50", {"x": 1, "y": ["z"]}, [1], b"\x00\xff")
    assert dict(row["m"]) == {"k": {"v": 1.0}}

    wider = types.replace("'y', array('z')", "'y', array('z'), 'new', 5")
    lab.prepare(version(lab, wider)).sink("out")
    assert lab.rows("out", "s") == [({"x": 1, "y": ["z"], "new": 5},)]
    lab.prepare(version(lab, types)).sink("out")  # the older version: what its structs lack is null
    assert lab.rows("out", "s") == [({"x": 1, "y": ["z"], "new": None},)]


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        ("named_struct('a', array(n))", "named_struct('a', array('x'))", {"a": ["x"]}),
        ("map('k', n)", "map(1L, n)", [(1, 10)]),
    ],
)
def test_d10_a_type_that_clashes_inside_of_a_column_is_refused_with_the_remedy_or_rebuilt(
    lab: Lab, before: str, after: str, left: object
) -> None:
    lab.file("a.csv", "id,n\n1,10\n")
    lab.prepare(version(lab, f"SELECT id, {before} AS c FROM raw")).sink("out")
    clash = f"SELECT id, {after} AS c FROM raw"
    with pytest.raises(SchemaConflict, match=r"sink 'out' .* 'c' is .* cast the column, or set on_schema_change: re"):
        lab.prepare(version(lab, clash)).sink("out")
    lab.prepare(version(lab, clash, on_schema_change="rebuild")).sink("out")
    assert lab.rows("out", "c") == [(left,)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "more"),
    [
        ("append", {}),
        (
            "merge",
            {"keys": ["id"], "partition_by": ["bucket(4, n)", "id"], "sort_by": [{"column": "n", "order": "desc"}]},
        ),
    ],
)
@pytest.mark.parametrize("end", ["a check fails", "killed"])
def test_d10_a_rebuild_that_is_not_published_leaves_the_table_as_it_was_and_the_next_takes_all_rows(
    lab: Lab, mode: str, more: dict[str, Any], end: str
) -> None:
    lab.create("src", id="long")

    def step(column: str, enough: int = 0) -> Step:
        return lab.prepare(
            lab.pipeline(
                iceberg("raw", lab.named("src"), "incremental"),
                sql("shaped", f"SELECT id, {column} AS n FROM raw"),
                sink("out", lab.named("out"), mode, on_schema_change="rebuild", **more),
                monitor("quality", {"kind": "row_count", "min": enough}),
                flow="raw>shaped>out>quality",
            )
        )

    lab.append("src", [1], [2])
    step("id").sink("out")
    before = lab.table("out").metadata
    lab.append("src", [3])
    if end == "killed":
        text = step("CAST(id AS STRING)")
        look = TableLook.of(TableLocation(lab.identifier("out"), "main"), lab.table("out"))
        frame = Schema(
            NestedField(1, "id", LongType(), required=False), NestedField(2, "n", StringType(), required=False)
        )
        prepare_table(lab.catalog, look, text.run.spec.sinks[0], frame, lab.name, free=True)
    else:
        with pytest.raises(NotPublished):
            step("CAST(id AS STRING)", enough=100).sink("out")
        after = lab.table("out").metadata
        assert (after.schema(), after.spec(), after.properties) == (before.schema(), before.spec(), before.properties)
        assert after.default_sort_order_id == before.default_sort_order_id
        assert lab.rows("out") == [(1, 1), (2, 2)]
    lab.append("src", [4])
    step("CAST(id AS STRING)").sink("out")
    assert lab.rows("out") == [(1, "1"), (2, "2"), (3, "3"), (4, "4")]
    lab.append("src", [5])
    step("CAST(id AS STRING)").sink("out")  # an ordinary run again
    assert [row[0] for row in lab.rows("out")] == [1, 2, 3, 4, 5]


def test_d10_a_rebuild_whose_schema_is_put_back_meanwhile_is_not_published_over_it(lab: Lab) -> None:
    lab.file("a.csv", "id,n\n1,10\n")
    lab.prepare(version(lab, "SELECT * FROM raw")).sink("out")
    again = lab.prepare(version(lab, "SELECT id, CAST(n AS STRING) AS n FROM raw", on_schema_change="rebuild"))
    again.sink("out", on("audited", lambda: put_back(lab.catalog, lab.table("out"))))
    assert lab.rows("out") == [(1, "10")]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ("id, n AS ID", "sink 'out': there are two columns 'ID'"),
        ("id, n AS _file", "sink 'out': column '_file' has a name that Iceberg reserves"),
        ("n", "sink 'out' merges by 'id', which its input lacks; it has n"),
    ],
)
def test_d10_columns_that_no_table_or_merge_can_have_are_named_in_one_line(lab: Lab, columns: str, told: str) -> None:
    lab.file("a.csv", "id,n\n1,10\n")
    ran = lab.run(version(lab, f"SELECT {columns} FROM raw", "merge", keys=["id"]))
    assert ran.failure.startswith(told)


@pytest.mark.slow
def test_d10_odd_names_and_other_cases_of_columns(lab: Lab) -> None:
    names = ["a b", "x.y", "Upper", "tick`ed", "ünï", "select"]
    lab.file("a.csv", "id,n\n1,10\n")

    def pipeline(mode: str, given: list[str], **more: Any) -> str:
        columns = [quote(name) for name in given]
        code = f"def transform(spark, raw):\n    return raw.selectExpr('id', *{columns!r})"
        return lab.pipeline(
            files("raw", lab.path("*.csv"), id="long", n="int"),
            python("shaped", code),
            sink("out", lab.named("out"), mode, **more),
            flow="raw>shaped>out",
        )

    lab.prepare(pipeline("overwrite", names[:-1])).sink("out")
    lab.prepare(pipeline("overwrite", [*names, "z.z"])).sink("out")  # columns of such names are added too
    lab.prepare(pipeline("merge", [name.upper() for name in names if name != "ünï"], keys=["id"])).sink("out")
    assert [field.name for field in lab.table("out").schema().fields] == ["id", *names, "z.z"]
    assert lab.sql(f"SELECT * FROM {lab.spark_name('out')}") == [(1, *[10] * 7)]


def quote(name: str) -> str:
    return "n AS `" + name.replace("`", "``") + "`"
