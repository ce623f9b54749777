"""D10: columns come and go between versions; every kind of column and name that a frame may have."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Lab, files, python, sink, sql

from drls_dagster.lakehouse.evolution import SchemaConflict


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
