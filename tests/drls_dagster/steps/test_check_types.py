"""Checks that do not fit their column are refused with check, column and remedy (finding 26)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter
from pyspark.errors.exceptions.connect import AnalysisException
from pyspark.sql.types import StringType, StructField, StructType

from drls_dagster.steps import checks
from drls_dagster.steps.check_types import misfit
from drls_dagster.steps.checks import evaluate
from drls_dagster.steps.spark import StepFailed
from lifecycle.spec import AnyCheck

KINDS = {"n": "int", "x": "double", "dec": "decimal(10,2)", "name": "string", "d": "date", "at": "timestamp", "b": "boolean", "l": "array<int>"}  # fmt: skip


def check(**fields: Any) -> AnyCheck:
    return TypeAdapter[AnyCheck](AnyCheck).validate_python(fields)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kind": "range", "column": "Name", "min": 1}, "compares 'Name', which is a string, with the number 1; cast"),
        ({"kind": "range", "column": "d", "min": 1}, "compares 'd', which is date, with 1; write a value of that type"),
        ({"kind": "range", "column": "n", "max": "many"}, "compares 'n', which is int, with 'many'; write a value of"),
        ({"kind": "range", "column": "at", "max": "noon"}, "compares 'at', which is timestamp, with 'noon'; write a"),
        ({"kind": "accepted_values", "column": "n", "values": [1, "a"]}, "compares 'n', which is int, with 'a'; write"),
        ({"kind": "accepted_values", "column": "dec", "values": ["a"]}, "compares 'dec', which is decimal(10,2), with"),
        ({"kind": "accepted_values", "column": "b", "values": ["yes"]}, "compares 'b', which is boolean, with 'yes'; "),
        ({"kind": "freshness", "column": "n", "within": "2d"}, "needs a date or a timestamp, but 'n' is int; cast the"),
        ({"kind": "freshness", "column": "l", "within": "2d"}, "needs a date or a timestamp, but 'l' is array<int>; "),
    ],
)
def test_a_check_that_does_not_fit_says_column_and_remedy(fields: dict[str, Any], told: str) -> None:
    """Failed before: texts were compared with a number letter by letter and passed, numbers were seconds since 1970,
    and the others ended in Spark's words without the check."""
    assert misfit(check(**fields), KINDS).startswith(told)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "range", "column": "n", "min": 1, "max": 2.5}, {"kind": "range", "column": "x", "min": "1.5"},
        {"kind": "range", "column": "d", "min": "2024-01-01"}, {"kind": "range", "column": "name", "min": "a"},
        {"kind": "range", "column": "s.inside", "min": 1}, {"kind": "accepted_values", "column": "name", "values": [1]},
        {"kind": "accepted_values", "column": "b", "values": [True, "false"]}, {"kind": "row_count", "min": 1},
        {"kind": "freshness", "column": "name", "within": "2d"}, {"kind": "freshness", "column": "d", "within": "2d"},
    ],
)  # fmt: skip
def test_what_spark_can_compare_is_left_to_it(fields: dict[str, Any]) -> None:
    assert misfit(check(**fields), KINDS) == ""


def evaluated(name: str, one: AnyCheck) -> Any:
    """Of a frame with a text column; nothing here has an engine."""
    frame: Any = SimpleNamespace(columns=["name"], schema=StructType([StructField("name", StringType())]))
    spark: Any = None
    return evaluate(spark, frame, "out", [(name, one)], "view", lambda _: {})


def test_a_check_that_does_not_fit_ends_before_spark_is_asked() -> None:
    with pytest.raises(StepFailed) as refused:
        evaluated("inside", check(kind="range", column="name", min=0))
    assert str(refused.value) == (
        "check 'inside' on 'out' compares 'name', which is a string, with the number 0; cast the column"
    )


def test_an_error_in_the_sql_of_a_check_names_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed before: only the node, which may have many checks."""
    parameters = {"objectName": "`gone`", "proposal": "`id`, `name`"}

    def refuse(*_: Any) -> None:
        condition = "UNRESOLVED_COLUMN.WITH_SUGGESTION"
        raise AnalysisException("[UNRESOLVED_COLUMN]", errorClass=condition, messageParameters=parameters)

    monkeypatch.setattr(checks, "run_sql", refuse)
    with pytest.raises(StepFailed) as refused:
        evaluated("none_gone", check(kind="sql", name="none_gone", sql="SELECT count(gone) = 0 FROM out"))
    assert str(refused.value) == (
        "check 'none_gone' of node 'out': there is no column 'gone'; columns there are: id, name"
    )
