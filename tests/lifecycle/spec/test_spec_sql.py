"""SQL reads its upstream nodes and nothing else, whatever way it tries."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.spec import Problem, SpecError, sql_parameters, sql_tables

Find = Callable[..., tuple[Problem, ...]]
Data = dict[str, Any]


def sql(text: str) -> Callable[[Data], object]:
    return lambda data: data["nodes"][1].update(sql=text)


READS: list[tuple[str, tuple[str, ...]]] = [
    ("select * from t", ("t",)),
    ("SELECT * FROM T JOIN `U` USING (a)", ("t", "u")),
    ("select * from t, u, (select * from v) x", ("t", "u", "v")),
    ("select * from t where a in (select b from u where u.c = t.c)", ("t", "u")),
    ("select * from t where exists (select 1 from u)", ("t", "u")),
    ("select (select max(a) from u), b from t", ("u", "t")),
    ("select * from t union select * from u except select * from v", ("t", "u", "v")),
    ("(select * from t) union all (with w as (select * from u) select * from w)", ("t", "u")),
    ("from t select a", ("t",)),
    ("values (1), (2)", ()),
    ("select * from range(10)", ()),
    ("select * from t lateral view explode(a) e as x", ("t",)),
    ("select * from t, lateral (select * from u where u.a = t.a)", ("t", "u")),
    ("select * from t, lateral explode(t.a) as e(x)", ("t",)),
    ("select /*+ broadcast(u) */ * from t", ("t",)),
    ("select * from t pivot (sum(a) for b in (1, 2))", ("t",)),
    ("select a from t -- from u\n/* from v */ where b = 'from w'", ("t",)),
    ("select a from t;", ("t",)),
    # CTEs
    ("with c as (select * from t) select * from c", ("t",)),
    ("with c as (select * from t), d as (select * from c join u) select * from d, C", ("t", "u")),
    ("with t as (select * from t) select * from t", ("t",)),
    ("with a as (select * from b), b as (select 1) select * from a, b", ("b",)),
    ("with a as (select 1) select * from (with b as (select * from a) select * from b), b", ("b",)),
    ("select * from (with a as (select * from t) select * from a), a", ("t", "a")),
    (
        "with recursive r as (select 1 as n union all select n + 1 from r where n < 9) select * from r, t",
        ("t",),
    ),
    ("select * from t where a in (with u as (select * from v) select b from u)", ("t", "v")),
    # several parts
    ("select * from lake.sales.orders", ("lake.sales.orders",)),
    ("select * from csv.`/etc/passwd`", ("csv.`/etc/passwd`",)),
    ("select * from t.snapshots", ("t.snapshots",)),
]


@pytest.mark.parametrize(("text", "tables"), READS)
def test_all_tables_that_are_read_are_found(text: str, tables: tuple[str, ...]) -> None:
    assert sql_tables(text) == tables


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("select :a, :b, :a from t", ("a", "b")),
        ("select a::int, b :: string, ':c', \":d\" from t -- :e\n/* :f */ where x = :g", ("g",)),
        ("select * from t where a between :x and :y limit :n", ("x", "y", "n")),
        ("select map('a', :b), case when a then :c else :d end, f(:e) from t", ("b", "c", "d", "e")),
        ("with c as (select :p as p) select * from t where a in (select p from c where q = :q)", ("p", "q")),
        ("select 1", ()),
    ],
)
def test_parameters_are_found_but_not_in_text_comments_and_casts(text: str, parameters: tuple[str, ...]) -> None:
    assert sorted(sql_parameters(text)) == sorted(parameters)


NOT_A_QUERY: list[tuple[str, str]] = [
    ("", "the SQL is empty"),
    ("-- nothing", "the SQL is empty"),
    (";", "the SQL is empty"),
    ("select", "names no columns"),
    ("select from", "does not parse"),
    ("select 'a", "does not parse"),
    ("select * from (select 1", "does not parse"),
    ("select 1; select 2", "several statements; a transform is one SELECT"),
    ("insert into x select 1", "begins with INSERT and is not a query"),
    ("create table x as select 1", "begins with CREATE"),
    ("drop table x", "begins with DROP"),
    ("delete from x", "begins with DELETE"),
    ("merge into x using t on a = b when matched then delete", "begins with MERGE"),
    ("update x set a = 1", "begins with UPDATE"),
    ("set spark.sql.ansi.enabled=false", "begins with SET"),
    ("show tables", "begins with SHOW"),
    ("cache table t", "begins with CACHE"),
    ("begin select 1; end", "several statements"),
    ("call system.expire_snapshots('a')", "begins with CALL"),
    ("add jar '/x.jar'", "begins with ADD"),
    ("from t insert into x select a", "is not a query"),
    ("with a as (select 1) insert into t select * from a", "is not a query but INSERT"),
    ("with a as (select 1) delete from t", "is not a query but DELETE"),
    ("select a into x from t", "is not a query but INTO"),
    ("table secret", "begins with TABLE"),
    ("select * from (table secret)", "keyword TABLE"),
    ("select (table secret)", "keyword TABLE"),
    ("select * from f(table(secret))", "keyword TABLE"),
    ("select * from stream t", "keyword STREAM"),
    ("with stream as (select 1) select * from stream t", "keyword STREAM"),
    ("from t |> join secret", "pipe operator"),
    ("with recursive r as (select 1) (with r as (select * from r) select * from r)", "write one WITH clause"),
    ("select * from read_files('/etc')", "the table function read_files() may read files"),
    ("select * from t, lateral read_files('/etc')", "the table function read_files()"),
    ("select * from READ_CSV('/etc')", "the table function read_csv()"),
    ("select * from identifier('secret')", "the table function identifier()"),
    ("select * from python_udtf(1)", "the table function python_udtf()"),
    ("select * from t lateral view reflect('a', 'b') e as x", "the table function reflect()"),
    ("select reflect('java.lang.System', 'getenv', 'HOME') from t", "reflect() may run or read anything"),
    ("select input_file_name() f from t", "input_file_name() returns paths of the server"),
    ("select `input_file_name`() f from t", "returns paths of the server"),
    ("select upper(INPUT_FILE_NAME()) f from t", "returns paths of the server"),
    ("select builtin.input_file_name() f from t", "is a function of a catalog"),
    ("select * from read_files('/etc/passwd')", "may read files or run code"),
    ("select java_method('a', 'b') from t", "java_method() may run or read"),
    ("select try_reflect('a', 'b') from t", "try_reflect() may run or read"),
    # With 0, Spark's process ended: it had reserved too little memory and wrote behind it.
    *(
        (f"select approx_count_distinct({distinct}a, {value}) from t", "the deviation that is accepted; write a number")
        for distinct in ("", "distinct ")
        for value in ("0.0", "1e-9", "0D", "-0.1", "0.1 * 0", "cast(0.1 as int)", "cast('0.1' as double)", "2", "b")
    ),
    ("select other.f(a) from t", "is a function of a catalog"),
    ("select transform(a) using 'cat' as (b) from t", "runs a program"),
    ("select * from t version as of 3", "read AS OF another time; write read: as_of"),
    ("select * from t timestamp as of '2024-01-01'", "read AS OF another time"),
    ("select '${env:HOME}' from t", "which Spark replaces by settings"),
    ("select * from ${t}", "which Spark replaces by settings"),
    ("select * from {{ ref('t') }}", "a template"),
    ("{% if x %} select 1", "a template"),
    ("select ? from t", "a parameter without a name"),
    ("select * from t -- \\\n , secret", "a comment ends in a backslash"),
    ("select " + "(" * 500 + "1" + ")" * 500, "nested too deeply"),
    ("select " + "not " * 20_000 + "true", "nested too deeply"),
    ("select " + "struct(" * 40 + "1" + ")" * 40, "nested too deeply"),
    ("select 1 from t " + "join u " * 40, "nested too deeply"),
    # Finding 21; 12 s and more on 0.1.0.
    ("select cast(1 as " + "array<" * 800 + "int" + ">" * 800 + ") from t", "nested too deeply"),
    ("select cast(1 as " + "map<int," * 800 + "int" + ">" * 800 + ") from t", "nested too deeply"),
    ("select a" + ".b(1)" * 800 + " from t", "nested too deeply"),
    ("select a" + ".b(1).c" * 800 + " from t", "nested too deeply"),
    ("select " + "x" * 100_000, "longer than 100000 characters"),
]


@pytest.mark.parametrize(("text", "part"), NOT_A_QUERY, ids=[text[:40] for text, _ in NOT_A_QUERY])
def test_what_is_not_one_query_over_nodes_is_refused_quickly(text: str, part: str) -> None:
    started = time.process_time()
    with pytest.raises(SpecError) as caught:
        sql_tables(text)
    assert time.process_time() - started < 2
    assert part in str(caught.value)
    assert len(str(caught.value)) < 260
    assert "\x1b" not in str(caught.value)


def test_iceberg_functions_may_be_called() -> None:
    assert sql_tables("select lake.system.bucket(16, id), system.days(at) from t") == ("t",)


def test_a_parser_that_loses_its_way_is_an_error_and_not_a_crash() -> None:
    for text in (
        "from t |> where (select 1)",
        "select case case case",
        "select a[[[",
        "select @@@@",
        "select * from t for",
    ):
        with pytest.raises(SpecError):
            sql_tables(text)


WRONG: list[tuple[str, str]] = [
    (
        "select * from lake.sales.orders",
        "reads 'lake.sales.orders', which is not an upstream node; add a source node",
    ),
    ("select * from csv.`/etc/passwd`", "reads 'csv.`/etc/passwd`', which is not an upstream node"),
    ("select * from order_s", "which is not an upstream node; did you mean 'orders'?"),
    ("select * from orders join daily", "a node cannot read itself"),
    ("select * from orders join daily_orders", "or its table with an iceberg source"),
    ("select * from orders where a = :limt", "the parameter ':limt' is not declared; did you mean 'limit_'?"),
    (
        "select * from orders where a = :zzz",
        "the parameter ':zzz' is not declared; declare it under parameters",
    ),
    (
        "select 1",
        "an edge leads here from 'orders', but the SQL does not read it; read it, or remove the edge",
    ),
    ("insert into orders select 1", "begins with INSERT"),
]


@pytest.mark.parametrize(("text", "part"), WRONG)
def test_sql_that_reads_something_else_names_the_node_and_the_way_out(problems_of: Find, text: str, part: str) -> None:
    problems = problems_of(sql(text), lambda data: data.update(parameters={"limit_": {"type": "integer"}}))
    assert [p for p in problems if (p.node, p.field) == ("daily", "sql") and part in str(p)], [str(p) for p in problems]


def test_a_node_that_is_not_connected_is_answered_with_the_edge(problems_of: Find) -> None:
    def lookup(data: Data) -> None:
        data["nodes"].append({"id": "lookup", "type": "source", "source": {"kind": "rate"}})

    problems = problems_of(lookup, sql("select * from orders join lookup"))
    assert "add the edge {from: lookup, to: daily}" in "\n".join(map(str, problems))


def test_names_are_taken_without_regard_to_case(problems_of: Find) -> None:
    assert problems_of(sql("SELECT * FROM Orders AS o JOIN `ORDERS`")) == ()


def test_declared_parameters_that_nothing_uses_are_fine(problems_of: Find) -> None:
    assert problems_of(lambda data: data.update(parameters={"a": {"type": "integer", "default": 1}})) == ()


CHECKS: list[tuple[str, str]] = [
    ("select count(*) > 0 from orders", "reads 'orders', but the monitor is attached to 'daily_orders'"),
    ("select count(*) > 0 from daily_orders, a.b", "reads 'a.b', but the monitor"),
    ("select count(*) > :n from daily_orders", "the parameter ':n' is not declared"),
    ("delete from daily_orders", "begins with DELETE"),
]


@pytest.mark.parametrize(("text", "part"), CHECKS)
def test_a_sql_check_reads_only_what_its_monitor_is_attached_to(problems_of: Find, text: str, part: str) -> None:
    def check(data: Data) -> None:
        data["nodes"][3]["checks"] = [{"kind": "sql", "name": "mine", "sql": text}]

    problems = problems_of(check)
    assert [p for p in problems if (p.node, p.field) == ("quality", "checks.mine.sql") and part in str(p)]


def test_a_sql_check_of_the_attached_node_is_accepted(problems_of: Find) -> None:
    def check(data: Data) -> None:
        data["nodes"][3]["checks"] = [{"kind": "sql", "sql": "select count(*) > 0 from Daily_Orders"}]

    assert problems_of(check) == ()


def test_too_much_sql_in_all_is_refused_quickly(problems_of: Find) -> None:
    def much(data: Data) -> None:
        text = "select " + "a + " * 20_000 + "a from orders"
        for index in range(20):
            data["nodes"].append({"id": f"n{index}", "type": "transform", "step": "spark", "sql": f"{text} -- {index}"})

    started = time.process_time()
    assert "the SQL is longer than 500000 characters in total" in "\n".join(map(str, problems_of(much)))
    assert time.process_time() - started < 2


def test_nested_types_and_calls_as_people_write_them_are_read() -> None:
    nested = "select cast(a as array<map<string, struct<b: array<array<int>>>>>) as x, a < b as y, c > d as z from t"
    assert sql_tables(nested) == ("t",)
    assert sql_tables("select " + ", ".join(f"system.bucket(16, c{i})" for i in range(40)) + " from t") == ("t",)
    assert sql_tables("select " + ", ".join(f"cast(c{i} as array<int>)" for i in range(300)) + " from t") == ("t",)
