"""The words for Spark's errors name conditions and parameters that this release of Spark has (finding 26)."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pyspark
import pytest
from pyspark.errors import PythonException
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from drls_dagster.engine.spark_errors import explain
from drls_dagster.engine.spark_rare_words import RARE
from drls_dagster.engine.spark_words import CONDITIONS


def conditions() -> dict[str, Any]:
    (jar,) = (Path(pyspark.__file__).parent / "jars").glob("spark-common-utils_*.jar")
    with zipfile.ZipFile(jar) as packed:
        return json.loads(packed.read("error/error-conditions.json"))


def test_no_condition_has_words_twice() -> None:
    assert not CONDITIONS.keys() & RARE.keys()


@pytest.mark.parametrize("words", [CONDITIONS, RARE])
def test_words_use_parameters_that_come_with_the_condition(words: dict[str, tuple[str, str]]) -> None:
    """Failed before for a field of a struct: a parameter had another name, and so people saw Spark's sentence."""
    known = conditions()
    wrong: list[str] = []
    for condition, (what, remedy) in words.items():
        name, _, part = condition.partition(".")
        parts = known.get(name, {}).get("subClass", {})
        if name not in known or (part and part not in parts):
            wrong.append(f"{condition} is not there")
            continue
        texts = [known[name], *([parts[part]] if part else parts.values())]
        has = set(re.findall(r"<(\w+)>", " ".join(" ".join(text["message"]) for text in texts)))
        wrong += [f"{condition} has no {one}" for one in re.findall(r"\{(\w+)\}", what + remedy) if one not in has]
    assert wrong == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            '<_MultiThreadedRendezvous of RPC that terminated with:\n\tdetails = "Requested array size exceeds VM limit"\n>',
            "a text, an array or a row would be larger than 2 GB; ask for a shorter one",
        ),
        ("[ILLEGAL_DAY_OF_WEEK] Illegal input for day of week: nope. SQLSTATE: 22009", "'nope' is no day of the week; write one such as Monday"),
        ("[_LEGACY_ERROR_TEMP_1104] The second argument should be a double literal.", "the second argument of the function is no number with a point; write it like 0.05"),
        ("[DISTINCT_WINDOW_FUNCTION_UNSUPPORTED] Distinct window functions are not supported: x. SQLSTATE: 0A000", "a function with OVER takes no DISTINCT; use size(collect_set(…) OVER …) for a count, or aggregate in a subquery"),
        ("[UNION_NOT_SUPPORTED_IN_RECURSIVE_CTE] The UNION operator is not yet supported. SQLSTATE: 42836", "a recursive query takes no UNION; write UNION ALL"),
    ],
)  # fmt: skip
def test_rare_errors_are_said_in_our_words(said: str, told: str) -> None:
    """Failed before: `space(2147483647)` was a lost connection and "run again", the others Spark's own sentences."""
    condition = re.match(r"\[(\w+)\]", said)
    known = {"string": "nope", "windowExpr": "x"} if condition else {}
    error = SparkConnectGrpcException(said, errorClass=condition and condition[1], messageParameters=known)
    assert explain(error, "out") == f"node 'out': {told}"


@pytest.mark.parametrize(("walked", "column"), [("\nid\n", "id"), ("\ns\na\n", "s.a")])
def test_a_required_column_is_named_by_its_path(walked: str, column: str) -> None:
    """Failed before: "( s a )"."""
    said = "[NOT_NULL_ASSERT_VIOLATION] NULL value appeared in non-nullable field: x. SQLSTATE: 42000"
    error = SparkConnectGrpcException(
        said, errorClass="NOT_NULL_ASSERT_VIOLATION", messageParameters={"walkedTypePath": walked}
    )
    assert explain(error, "out") == (
        f"node 'out': a required column contains null ({column}); filter or fill such rows"
    )


PYTHON = """
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "<pipeline>", line 3, in half
    return 1 // x
           ~~^^~~
{raised}

JVM stacktrace:
org.apache.spark.api.python.PythonException"""


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (
            "ZeroDivisionError: integer division or modulo by zero",
            "ZeroDivisionError: integer division or modulo by zero",
        ),
        ("my_module.errors.Wrong: no\nSQLSTATE: 38000", "Wrong: no"),
        ("AssertionError", "AssertionError"),
        (
            "pyspark.errors.exceptions.base.PySparkRuntimeError: [RESULT_LENGTH_MISMATCH] expected 2, got 1.",
            "PySparkRuntimeError: expected 2, got 1.",
        ),
    ],
)
def test_what_a_python_function_raises_is_said(raised: str, told: str) -> None:
    """Failed before: "Please see the stack trace below", which is not below."""
    said = explain(PythonException(PYTHON.format(raised=raised)), "out")
    assert said == (
        f"node 'out': a Python function of the step raised {told}; correct the function, or the values that it gets"
    )
