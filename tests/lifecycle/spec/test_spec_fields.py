"""Fields that are wrong are reported in plain words, all together, with node, field and remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from lifecycle.spec import Problem, SpecError, parse_pipeline

Find = Callable[..., tuple[Problem, ...]]


def node(index: int, **fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["nodes"][index].update(fields)


def source(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["nodes"][0].update(source=fields)


def step(**fields: Any) -> Callable[[dict[str, Any]], object]:
    def change(data: dict[str, Any]) -> None:
        data["nodes"][1] = {"id": "daily", "type": "transform", **fields}

    return change


def check(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["nodes"][3].update(checks=[fields])


def top(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.update(fields)


S, D, K, M = "orders", "daily", "daily_orders", "quality"
AT = {"id": "long"}

WRONG: list[tuple[Callable[[dict[str, Any]], object], str | None, str | None, str]] = [
    # the pipeline
    (top(format_version=2), None, "format_version", "'2' is not known; use 1"),
    (lambda data: data.pop("name"), None, "name", "it is missing; add name"),
    (top(name="Flights Daily"), None, "name", "use lower-case letters, digits and '_'"),
    (top(name="a" * 64), None, "name", "it is too long; use at most 63"),
    (top(name="../../etc"), None, "name", "is not allowed here"),
    (top(owner=["a@b.org"]), None, "owner", "there is no such field; did you mean 'owners'?"),
    (top(owners=["bob"]), None, "owners", "'bob' is not an owner; write an e-mail address or team:<name>"),
    (top(owners="a@b.org"), None, "owners", "is not a list"),
    (top(tags=["a"]), None, "tags", "is not a mapping"),
    (top(schedule={"cron": "0 6 * *"}), None, "schedule.cron", "five fields"),
    (top(schedule={"cron": "@daily"}), None, "schedule.cron", "five fields"),
    (top(schedule={"cron": "0 6 * * * *"}), None, "schedule.cron", "five fields"),
    (top(schedule={"cron": "61 * * * *"}), None, "schedule.cron", "'61' is not a minute"),
    (top(schedule={"cron": "0 0 30 2 *"}), None, "schedule.cron", "never fires"),
    (
        top(schedule={"cron": "0 6 * * *", "timezone": "Europe/Berlni"}),
        None,
        "schedule.timezone",
        "'Europe/Berlin'?",
    ),
    (
        top(schedule={"cron": "0 6 * * *", "timezone": "../../etc/passwd"}),
        None,
        "schedule.timezone",
        "not a time zone",
    ),
    (
        top(schedule={"cron": "0 6 * * *", "timezone": "America"}),
        None,
        "schedule.timezone",
        "not a time zone",
    ),
    (top(schedule={"cron": "0 6 * * *"}, automation="on_new_data"), None, None, "both start runs; keep one"),
    (top(automation="on_data"), None, "automation", "did you mean 'on_new_data'?"),
    (top(run={"memory": "2 GB"}), None, "run.memory", "write a number and m or g"),
    (top(run={"cores": 0}), None, "run.cores", "0 is out of range; write at least 1"),
    (top(run={"cores": "2"}), None, "run.cores", "is not a whole number; write it without quotes"),
    (top(run={"retries": {"delay": "soon"}}), None, "run.retries.delay", "'soon' is not a duration"),
    (top(run={"retries": {"atempts": 1}}), None, "run.retries.atempts", "did you mean 'attempts'?"),
    (top(run={"retries": {"attempts": True}}), None, "run.retries.attempts", "'True' is not a whole number"),
    (top(nodes={}), None, "nodes", "is not a list"),
    (top(nodes=[]), None, "nodes", "it is empty"),
    (top(edges=[{"from": "orders", "into": "daily"}]), None, "edges[0].to", "it is missing; add to"),
    (
        top(edges=[{"from_": "orders", "to": "daily"}]),
        None,
        "edges[0].from_",
        "no such field; did you mean 'from'?",
    ),
    (top(lock={"cod": {}}), None, "lock.cod", "did you mean 'code'?"),
    # parameters
    (top(parameters={"a": {"type": "int"}}), None, "parameters.a.type", "did you mean 'integer'?"),
    (top(parameters={"a": {"type": "integer", "defualt": 1}}), None, "parameters.a.defualt", "'default'?"),
    (
        top(parameters={"a": {"type": "integer", "default": "x"}}),
        None,
        "parameters.a",
        "default: 'x' is not an integer",
    ),
    (top(parameters={"A-b": {"type": "integer"}}), None, "parameters.A-b", "use lower-case letters"),
    (
        top(parameters={"partition_key": {"type": "string"}}),
        None,
        "parameters.partition_key",
        "partitions already use this name",
    ),
    # nodes
    (top(nodes=[3]), None, "nodes[0]", "'3' is not a mapping"),
    (top(nodes=[{"id": "a"}]), "a", None, "it has no type; add type"),
    (node(0, type="sorce"), S, None, "the type 'sorce' is not known; did you mean 'source'?"),
    (node(0, id="../x"), None, "nodes[0].id", "'../x' is not allowed here; use lower-case letters"),
    (node(0, id="select"), "select", "id", "reserved word of SQL; rename it, for example 'select_data'"),
    (node(0, id=7), None, "nodes[0].id", "'7' is not text; put it in quotes"),
    # sources
    (source(kind="file", path="x"), S, "source", "the kind 'file' is not known; did you mean 'files'?"),
    (source(kind="files", format="cvs", path="x"), S, "source.format", "did you mean 'csv'?"),
    (source(kind="files", format="csv", path="a/../../b"), S, "source.path", "leaves its folder"),
    (source(kind="files", format="csv", path="a\\..\\b"), S, "source.path", "leaves its folder"),
    (source(kind="files", format="csv", path=""), S, "source.path", "it is empty"),
    (
        source(kind="files", format="csv", path="x", schema={"a": "bigint"}),
        S,
        "source.schema.a",
        "did you mean 'long'?",
    ),
    (
        source(kind="files", format="csv", path="x", schema={"a": "long", "A": "int"}),
        S,
        "source.schema",
        "only in case",
    ),
    (
        source(kind="files", format="csv", path="x", schema={"a": "decimal(50,2)"}),
        S,
        "source.schema.a",
        "38 digits",
    ),
    (
        source(kind="files", format="csv", path="x", schema={"a": "array<int"}),
        S,
        "source.schema.a",
        "not a column type",
    ),
    (
        source(kind="files", format="csv", path="x", schema={"a": "array<" * 99}),
        S,
        "source.schema.a",
        "too deeply",
    ),
    (source(kind="iceberg", table="orders"), S, "source.table", "write namespace.table"),
    (source(kind="iceberg", table="a.b", read="as_of"), S, "source", "needs one point in time; set either"),
    (source(kind="iceberg", table="a.b", snapshot=3), S, "source", "read: full takes no snapshot"),
    (
        source(kind="iceberg", table="a.b", read="as_of", snapshot="x"),
        S,
        "source.snapshot",
        "not a snapshot id",
    ),
    (
        source(kind="iceberg", table="a.b", read="as_of", timestamp="x"),
        S,
        "source.timestamp",
        "not a timestamp",
    ),
    (source(kind="iceberg", table="a.b", raed="full"), S, "source.raed", "did you mean 'read'?"),
    (source(kind="jdbc", connection="c"), S, "source", "set either table or query"),
    (source(kind="jdbc", connection="c", table="t", partitions=8), S, "source", "set partition_column"),
    (source(kind="jdbc", connection="c", table="t", incremental_column="a\nb"), S, "source.incremental_column", ""),
    (
        source(kind="jdbc", connection="jdbc:pg://x", table="t"),
        S,
        "source.connection",
        "use lower-case letters",
    ),
    *(
        (source(kind="jdbc", connection="c", table=table), S, "source.table", "write schema.table, or a query")
        for table in ("t; DROP TABLE t", "(SELECT 1) x", "t --", "a.b.c.d.e", 't"', '"a"b"', "t WHERE 1 = 1", "t\nu")
    ),
    (source(kind="kafka", connection="c", topic="a b"), S, "source.topic", "use letters, digits"),
    (source(kind="rate", rows_per_second=0), S, "source.rows_per_second", "at least 1"),
    # transforms
    (step(step="sparc", sql="x"), D, None, "the step 'sparc' is not known; did you mean 'spark'?"),
    (step(step="spark"), D, None, "set exactly one of sql, python or entrypoint"),
    (step(step="spark", sql="x", python="y"), D, None, "set exactly one of sql, python or entrypoint"),
    (step(step="spark", entrypoint="a.b.c"), D, "entrypoint", "write module:function"),
    (step(step="rayProcess", python="x"), D, "output_schema", "it is missing; add output_schema"),
    (step(step="rayProcess", output_schema=AT), D, None, "set exactly one of python or entrypoint"),
    (step(step="rayProcess", python="x", output_schema={}), D, "output_schema", "it is empty"),
    (
        step(step="rayProcess", python="x", output_schema=AT, resources={"cpu": 1}),
        D,
        "resources.cpu",
        "'cpus'?",
    ),
    (step(step="rayProcess", python="x", output_schema=AT, batch_size=0), D, "batch_size", "at least 1"),
    (
        step(step="rayProcess", python="x", output_schema=AT, resources={"cpus": True}),
        D,
        "resources.cpus",
        "not a number",
    ),
    (step(step="sparkStream", sql="x", trigger={"every": 1.5j}), D, "trigger.every", "is not a duration"),
    (step(step="dbt", project="../other"), D, "project", "leaves its folder"),
    (step(step="custom"), D, None, "nothing to run; set command, image or both"),
    (step(step="custom", image="-x y"), D, "image", "write registry/name@sha256:…"),
    # sinks
    (node(2, mod="append"), K, "mod", "there is no such field; did you mean 'mode'?"),
    (node(2, mode="overwrit"), K, "mode", "'overwrit' is not known; did you mean 'overwrite'?"),
    (node(2, table="orders"), K, "table", "write namespace.table"),
    (node(2, table="a/../b.c"), K, "table", "write namespace.table"),
    (node(2, keys="id"), K, "keys", "is not a list; write [a, b]"),
    (node(2, keys=["a b"]), K, "keys[0]", "is not allowed here"),
    (node(2, repeat="yes"), K, "repeat", "'yes' is not true or false"),
    (node(2, partition_by=["mont(day)"]), K, "partition_by[0]", "'mont(day)' is not a partition field"),
    (node(2, partition_by=["bucket(id)"]), K, "partition_by[0]", "is not a partition field"),
    (node(2, partition_by=["month(3, day)"]), K, "partition_by[0]", "is not a partition field"),
    (node(2, partition_by=["bucket(0, id)"]), K, "partition_by[0]", "at least 1"),
    (node(2, sort_by=[{"column": "a", "order": "down"}]), K, "sort_by[0].order", "use one of asc, desc"),
    (node(2, on_schema_change="ad"), K, "on_schema_change", "did you mean 'add'?"),
    # checks
    (check(kind="rowcount"), M, "checks[0]", "did you mean 'row_count'?"),
    (check(column="a"), M, "checks[0]", "it has no kind; add kind"),
    (check(kind="row_count"), M, "checks[0]", "needs a limit; set min, max or both"),
    (check(kind="row_count", min=3, max=1), M, "checks[0]", "min 3 is more than max 1"),
    (check(kind="row_count", min=-1), M, "checks[0].min", "at least 0"),
    (check(kind="unique", columns=[]), M, "checks[0].columns", "it is empty"),
    (check(kind="unique", column="a"), M, "checks[0].column", "did you mean 'columns'?"),
    (
        check(kind="accepted_values", column="a", values=[{}]),
        M,
        "checks[0].values[0]",
        "'{}' is not one value",
    ),
    (check(kind="accepted_values", column="a", values=[2**60]), M, "checks[0].values[0]", "put it in quotes"),
    (check(kind="range", column="a"), M, "checks[0]", "needs a limit"),
    (check(kind="freshness", column="a", within="2 days"), M, "checks[0].within", "not a duration"),
    (check(kind="row_count", min=1, severity="error"), M, "checks[0].severity", "use one of blocking, warn"),
    (check(kind="sql", name="A b", sql="x"), M, "checks[0].name", "use lower-case letters"),
    (
        node(3, checks=[{"kind": "row_count", "min": 1, "name": "a"}] * 2),
        M,
        "checks",
        "two checks have the name 'a'",
    ),
]


@pytest.mark.parametrize(
    ("change", "node_id", "field", "part"), WRONG, ids=[f"{w[1]}-{w[2]}-{w[3][:30]}" for w in WRONG]
)
def test_a_wrong_field_is_named_with_its_node_and_a_remedy(
    problems_of: Find,
    change: Callable[[dict[str, Any]], object],
    node_id: str | None,
    field: str | None,
    part: str,
) -> None:
    problems = problems_of(change)
    match = [p for p in problems if (p.node, p.field) == (node_id, field)]
    assert match, [str(problem) for problem in problems]
    text = str(match[0])
    assert part in text
    assert len(text) < 260
    assert "\n" not in text
    assert "pydantic" not in text.lower()


def test_all_problems_are_reported_together(problems_of: Find) -> None:
    found = problems_of(node(0, type="sorce"), node(1, sgl="x"), node(2, mode="x"), top(owners=["bob"], nam="x"))
    assert {(p.node, p.field) for p in found} >= {
        (S, None),
        (D, "sgl"),
        (K, "mode"),
        (None, "owners"),
        (None, "nam"),
    }


def test_a_flood_of_problems_is_cut_and_counted(problems_of: Find) -> None:
    found = problems_of(top(tags={f"t{i}": [] for i in range(500)}))
    assert len(found) <= 51
    assert "450 more problems" in str(found[-1])


def test_a_problem_reads_as_one_line() -> None:
    assert str(Problem("a", "sql", "is wrong", "mend it")) == "node 'a', sql: is wrong; mend it"
    assert str(Problem(None, "name", "is wrong")) == "name: is wrong"
    assert str(Problem(None, None, "is wrong", "mend it")) == "is wrong; mend it"


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, True, [[]], {"a": {}}, 1.5, [None]])
@pytest.mark.parametrize(
    "place",
    ["nodes", "edges", "partitions", "parameters", "run", "schedule", "tags", "owners", "lock", "name"],
)
def test_any_value_anywhere_is_accepted_or_refused_but_never_a_crash(
    orders: dict[str, Any], place: str, value: object
) -> None:
    with suppress(SpecError):
        parse_pipeline(json.dumps({**orders, place: value}))


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, True, [[]], {"a": {}}, {"kind": []}, {"kind": "iceberg"}])
@pytest.mark.parametrize("index", range(4))
def test_any_value_in_a_node_is_accepted_or_refused_but_never_a_crash(
    orders: dict[str, Any], index: int, value: object
) -> None:
    for field in (
        "id",
        "type",
        "source",
        "step",
        "sql",
        "python",
        "table",
        "mode",
        "keys",
        "partition_by",
        "checks",
    ):
        changed = json.loads(json.dumps(orders))
        changed["nodes"][index][field] = value
        with suppress(SpecError):
            parse_pipeline(json.dumps(changed))
