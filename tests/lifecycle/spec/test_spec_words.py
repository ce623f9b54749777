"""What is wrong with a file, in our words: no sentence of a parser reaches the person who wrote it (finding 26)."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.spec import Problem, SpecError, parse_pipeline

Find = Callable[..., tuple[Problem, ...]]

# Of sqlglot, libyaml, croniter, pydantic and Python's own number parsing.
FOREIGN = re.compile(
    r"Required keyword|Invalid expression|Unexpected token|Expect(ing|ed) |Error tokenizing|Failed to parse|Token|"
    r"is not acceptable|failed to find|hash_id|not find expected|in this context|start any token|end of stream|"
    r"document start|node content|indicator|Input should|value_error|pydantic|Exceeds the limit|class '|Traceback"
)

SQL = [
    ("select a b c from orders", "'c' does not belong there (line 1)"),
    ("select a\nfrom orders\norder x", "'x' does not belong there (line 3)"),
    ("select * from orders)", "')' does not belong there (line 1)"),
    ("select a as from orders", "'orders' does not belong there (line 1)"),
    ("select a from orders o o", "'o' does not belong there (line 1)"),
    ("select a from orders on a = b", "'on' does not belong there (line 1)"),
    ("select top 5 a from orders", "'5' does not belong there (line 1)"),
    ("select 'a from orders", "a text that begins with ' in line 1 does not end"),
    ("select 1,\n'a from orders", "a text that begins with ' in line 2 does not end"),
    ("select \"a from orders", 'a text that begins with " in line 1 does not end'),
    ("select `a from orders", "a name that begins with ` in line 1 does not end"),
    ("select a\n/* b from orders", "a comment that begins with /* in line 2 does not end"),
    ("select 'it''s', 'x' -- don't\nfrom orders where a = 'b", "a text that begins with ' in line 2 does not end"),
    ("select 'a\\' from orders", "a text that begins with ' in line 1 does not end"),
    ("select x'zz' from orders", "a literal is not valid, such as X'…' with other digits than 0 to 9 and A to F"),
    ("select * from (select 1", "a ')' is missing at '1' (line 1)"),
    ("select (a from orders", "a ')' is missing at 'from' (line 1)"),
    ("select count( from orders", "a ')' is missing at 'orders' (line 1)"),
    ("select a[1 from orders", "a ']' is missing at 'from' (line 1)"),
    ("with x as select 1 select * from x", "a '(' is missing at 'select' (line 1)"),
    ("select * from orders\nwhere", "something is missing next to 'where' (line 2)"),
    ("select a from orders where a = = 1", "something is missing next to '=' (line 1)"),
    ("select a from orders where and a = 1", "something is missing next to '1' (line 1)"),
    ("select a from orders union", "something is missing next to 'union' (line 1)"),
    ("select a from orders limit", "something is missing next to 'limit' (line 1)"),
    ("select a from orders where a between 1", "something is missing next to '1' (line 1)"),
    ("select a from orders join", "the name of a table is missing at 'join' (line 1)"),
    ("select case when a then b from orders", "an END is missing after CASE at 'b' (line 1)"),
    ("select cast(a int) from orders", "an AS is missing in CAST at 'int' (line 1)"),
    ("select cast(a as) from orders", "')' is not a type (line 1)"),
    ("select cast(a as nope) from orders", "'nope' is not a type (line 1)"),
    ("select a:: from orders", "'from' is not a type (line 1)"),
    ("with x as (select 1)", "no SELECT follows WITH at ')' (line 1)"),
    ("with x as (select 1) , select * from x", "a query of WITH has no name at 'select' (line 1)"),
    ("select a from orders limit 1 limit 2", "a clause appears twice at 'limit' (line 1)"),
    ("select extract(year orders) from orders", "a FROM is missing in EXTRACT at 'year' (line 1)"),
]  # fmt: skip

TEXTS = [
    ("a: b: c", "line 1: this is not YAML: a ':' or an indentation is not allowed there; put text with ': '"),
    ("a: 1\n b: 2", "line 2: this is not YAML: a ':' or an indentation is not allowed there"),
    ("a:\n\tb: 1", "line 2: this is not YAML: a line begins with a tab; indent with spaces"),
    ("a: @x", "line 1: this is not YAML: no value begins with '@'; put it in quotes"),
    ("a: `x", "line 1: this is not YAML: no value begins with '`'; put it in quotes"),
    ("a: %x", "line 1: this is not YAML: no value begins with '%'; put it in quotes"),
    ("x: 1\na: [1, 2", "line 2: this is not YAML: after a '[' here a ',' or a ']' is missing; add it"),
    ("a: {b: 1", "line 1: this is not YAML: after a '{' here a ',' or a '}' is missing; add it"),
    ("a: 'x", "line 1: this is not YAML: a text in quotes that begins here does not end; add the quote"),
    ('a: 1\nb: "x', "line 2: this is not YAML: a text in quotes that begins here does not end; add the quote"),
    ("a: |\nx", "line 3: this is not YAML: a ':' is missing after a key; write key: value"),
    ("a: 1\n...\nxx", "line 3: this is not YAML: something follows the end of the file's mapping; remove it"),
    ("- a\nb: 1", "line 2: this is not YAML: a '-' is missing, or the indentation is wrong"),
    ("a: [1,,2]", "line 1: this is not YAML: a value is missing; write it, or remove the character there"),
    ("a: ]", "line 1: this is not YAML: a value is missing"),
    ("a: -", "line 1: this is not YAML: a list begins on a line of its own; write [a, b], or one '- item' per line"),
    ("a: 'it's'", "line 1: this is not YAML: the indentation or a quote is wrong"),
    ("a: >\n  x\n y: 1", "line 3: this is not YAML: the indentation or a quote is wrong"),
    ('a: "\\q"', "line 1: this is not YAML: \\ and what follows it mean nothing in double quotes; use single quotes"),
    ('a: "\\ud800"', "line 1: this is not YAML: \\ and what follows it mean nothing in double quotes"),
    ("%YAML 3.0\n---\na: 1", "line 1: this is not YAML: a line that begins with % is not supported; remove it"),
    ("x: 1\na: \x07", "line 2: this is not YAML: it has a control character; remove it"),
    ("key: {{ value }}", "line 1: a key is not text; write 'key: value', or put a template such as {{ x }} in quotes"),
    (b"x: 1\na: \xe4", "line 2: the file is not UTF-8; save it as UTF-8"),
    # JSON
    ('{"a": 1', "line 1: this is not JSON: a ',' or a closing bracket is missing; add it"),
    ('{"a":\n 1}}', "line 2: this is not JSON: something follows the end; remove it"),
    ('{"a" 1}', "line 1: this is not JSON: a ':' is missing after a key; write \"key\": value"),
    ('{"a": [1, 2}', "line 1: this is not JSON: a ',' or a closing bracket is missing; add it"),
    ('{"a": "x\n', "line 1: this is not JSON: a text has a line break or another control character; close its quote"),
    ('{\n"a": NaN}', "line 2: NaN is not a number that a pipeline can contain; remove it"),
    ('{\n"a": 1e999}', "line 2: the number 1e999 is too large; use a smaller number"),
    ('{\n"a": ' + "9" * 5000 + "}", "line 2: a number is too long; use a smaller number"),
    ('{"a":1,\n"a":2}', "line 2: the key 'a' appears twice in one mapping; remove one of them"),
    ('{"b": 1,\n"a":"\\u0000"}', "line 2: a text has a null character or half a character; remove it"),
]  # fmt: skip

CRON = [
    ("61 * * * *", "'61' is not a minute from 0 to 59; write numbers, ranges (1-5), lists (1,3) or steps (*/15)"),
    ("* 24 * * *", "'24' is not an hour from 0 to 23"),
    ("0 0 32 * *", "'32' is not a day of the month from 1 to 31"),
    ("0 0 0 * *", "'0' is not a day of the month from 1 to 31"),
    ("0 0 * 13 *", "'13' is not a month from 1 to 12, or JAN to DEC"),
    ("0 0 * JANUARY *", "'JANUARY' is not a month from 1 to 12, or JAN to DEC"),
    ("0 0 * * 8", "'8' is not a day of the week from 0 (Sunday) to 6, or SUN to SAT"),
    ("0 0 * * SUNDAY", "'SUNDAY' is not a day of the week"),
    ("0 0 * * MON#6", "'MON#6' is not a day of the week"),
    ("*/0 * * * *", "'*/0' is not a minute"),
    ("a * * * *", "'a' is not a minute"),
    ("H * * * *", "'H' is not a minute"),
    ("1,2, * * * *", "'1,2,' is not a minute"),
    ("1-2-3 * * * *", "'1-2-3' is not a minute"),
    ("- * * * *", "'-' is not a minute"),
    ("0 0 30 2 *", "'0 0 30 2 *' never fires: there is no such day; for example '0 6 * * *' is daily at six"),
    ("0 0 31 4,6 *", "'0 0 31 4,6 *' never fires: there is no such day"),
]  # fmt: skip

PYTHON = [
    ("return 1", r"the Python does not compile: 'return' outside function \(line 1\)"),
    ("def transform(spark, orders, orders): pass", "duplicate (parameter|argument) 'orders' in function"),
    ("def transform(spark, orders):\n  nonlocal x", r"no binding for nonlocal 'x' found \(line 2\)"),
]  # fmt: skip


def check(problem: Problem, told: str) -> None:
    said = str(problem)
    assert told in said
    assert problem.remedy
    assert not FOREIGN.search(said)
    assert "\n" not in said
    assert len(said) < 260


@pytest.mark.parametrize(("text", "told"), SQL)
def test_sql_that_does_not_parse_says_where_and_what(problems_of: Find, text: str, told: str) -> None:
    """Failed before: the parser's own sentences, such as Required keyword: 'expression' missing for EQ."""
    (problem,) = problems_of(lambda data: data["nodes"][1].update(sql=text))
    assert (problem.node, problem.field) == ("daily", "sql")
    check(problem, f"the SQL does not parse: {told}")


@pytest.mark.parametrize(("text", "told"), TEXTS)
def test_a_text_that_is_no_mapping_names_its_line(text: str | bytes, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_pipeline(text)
    (problem,) = caught.value.problems
    check(problem, told)


@pytest.mark.parametrize(("cron", "told"), CRON)
def test_a_schedule_names_the_part_that_is_wrong(problems_of: Find, cron: str, told: str) -> None:
    (problem,) = problems_of(lambda data: data.update(schedule={"cron": cron}))
    assert problem.field == "schedule.cron"
    check(problem, told)


@pytest.mark.parametrize(("text", "told"), PYTHON)
def test_python_that_only_the_compiler_refuses_is_refused(problems_of: Find, text: str, told: str) -> None:
    def change(data: dict[str, Any]) -> None:
        data["nodes"][1] = {"id": "daily", "type": "transform", "step": "spark", "python": text}

    (problem,) = problems_of(change)
    assert (problem.node, problem.field) == ("daily", "python")
    assert re.search(told, str(problem))


def test_a_number_in_quotes_is_told_from_the_number(problems_of: Find) -> None:
    (problem,) = problems_of(lambda data: data.update(format_version="1"))
    assert str(problem) == "format_version: '1' is text here; write 1, without quotes"


# Values of many kinds, none of which fits everywhere.
ODD: list[Any] = [None, 1, -1, "", " ", "x", "X Y", "a" * 5000, [], {}, True, [None], ["x", "x"], {"a": None}, {"": 1},
                  "a\nb", "é", 1e300, 2**70, [[1]], [{}], "2024-01-31", "-5m"]  # fmt: skip


def test_whatever_a_field_holds_is_told_with_place_and_remedy_in_our_words(orders: dict[str, Any]) -> None:
    """Every field of every kind with values of many kinds."""
    from lifecycle.spec.messages import _KINDS

    given: dict[str, dict[str, Any]] = {
        "source": {"kind": "iceberg", "table": "a.b"}, "files": {"format": "csv", "path": "x"},
        "jdbc": {"connection": "c", "table": "t"}, "kafka": {"connection": "c", "topic": "t"},
        "spark": {"sql": "select * from orders"}, "dbt": {"project": "p"}, "custom": {"command": ["x"]},
        "rayProcess": {"python": "def process(batch): return batch", "output_schema": {"a": "long"}},
        "static": {"values": ["a"], "column": "a"}, "daily": {"start": "2024-01-01", "column": "a"},
    }  # fmt: skip
    told = 0
    for (place, kind), model in _KINDS.items():
        fields = {field.serialization_alias or name for name, field in model.model_fields.items()}
        for value in ODD:
            # Each field alone is at fault only where the fields are not looked at together, which comes later.
            wrong = {**given.get(kind, {}), **dict.fromkeys(fields - {"id", "kind", "step", "type"}, value)}
            data = copy.deepcopy(orders)
            if place == "partitions":
                data["partitions"] = {"kind": kind, **wrong}
            elif place == "source":
                data["nodes"][0]["source"] = {"kind": kind, **wrong}
            elif place == "checks":
                data["nodes"][3]["checks"] = [{"kind": kind, **wrong}]
            elif kind in {"source", "sink", "monitor"}:
                data["nodes"][{"source": 0, "sink": 2, "monitor": 3}[kind]].update(wrong)
            else:
                data["nodes"][1] = {"id": "daily", "type": "transform", "step": kind, **wrong}
            try:
                parse_pipeline(json.dumps(data))
            except SpecError as error:
                for problem in error.problems:
                    told += 1
                    assert problem.remedy, str(problem)
                    assert problem.node or problem.field, str(problem)
                    assert not FOREIGN.search(str(problem)), str(problem)
                    assert "cannot be used here" not in str(problem)
    assert told > 1000
