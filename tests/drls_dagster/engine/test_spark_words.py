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

from drls_dagster.engine import python_words
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
  File "/opt/venv/lib/python3.11/site-packages/pyspark/worker.py", line 1, in main
    process()
  File "<pipeline>", line 3, in half
    return 1 // x
           ~~^^~~
{raised}

JVM stacktrace:
org.apache.spark.api.python.PythonException"""
CORRECT = "correct the function, or the values that it gets"
SCHEMA = "return what the schema of the call says, or correct the schema"
SPARK = "pyspark.errors.exceptions.base.PySpark"


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("ZeroDivisionError: integer division or modulo by zero", f"raised ZeroDivisionError: integer division or modulo by zero; {CORRECT}"),
        ("my_module.errors.Wrong: no\nSQLSTATE: 38000", f"raised Wrong: no; {CORRECT}"),
        ("AssertionError", f"raised AssertionError; {CORRECT}"),
        ("ValueError: one\ntwo\n  three", f"raised ValueError: one two three; {CORRECT}"),
        ("ValueError: said\na note", f"raised ValueError: said a note; {CORRECT}"),
        ("ValueError: " + "x" * 5000, f"raised {'ValueError: ' + 'x' * 488}; {CORRECT}"),
        ("SystemExit: 2", f"raised SystemExit: 2; {CORRECT}"),
        ("MemoryError", "ran out of memory; work on smaller batches or groups, or use a machine with more memory"),
        (f"{SPARK}RuntimeError: [SOME_OTHER] expected 2, got 1.", f"raised PySparkRuntimeError: expected 2, got 1.; {CORRECT}"),
        (
            f"{SPARK}RuntimeError: [RESULT_COLUMN_NAMES_MISMATCH] Column names of the returned data do not match specified schema. Missing: id. Unexpected: a, b.",
            f"returns other columns than the schema of the call has (missing id, extra a, b); {SCHEMA}",
        ),
        (
            f"{SPARK}RuntimeError: [RESULT_COLUMN_SCHEMA_MISMATCH] Number of columns of the returned data doesn't match specified schema. Expected: 1 Actual: 2",
            f"returns 2 columns where the schema of the call has 1; {SCHEMA}",
        ),
        (
            f"{SPARK}TypeError: [RESULT_COLUMN_TYPES_MISMATCH] Column types of the returned data do not match specified schema. Mismatch: column 'id' (expected int64, actual string).",
            f"returns column 'id' as string, which the schema of the call has as int64; {SCHEMA}",
        ),
        (
            f"{SPARK}TypeError: [UDF_RETURN_TYPE] Return type of the user-defined function should be pandas.DataFrame, but is list.",
            "returns list, not pandas.DataFrame; return what this kind of function has to",
        ),
        (
            f"{SPARK}RuntimeError: [SCHEMA_MISMATCH_FOR_PANDAS_UDF] Result vector from pandas_udf was not the required length: expected 2, got 1.",
            "returns 1 values for 2 rows; return one for each row that it gets, in their order",
        ),
        (
            f"{SPARK}TypeError: Exception thrown when converting pandas.Series (object) with name 'id' to Arrow Array (int64).",
            f"returns column 'id' with values that are not int64; {SCHEMA}",
        ),
        (
            f"{SPARK}ValueError: Exception thrown when converting pandas.Series (float64) to Arrow Array (int64). Arrow safe type check can be disabled by using SQL config `spark.sql.execution.pandas.convertToArrowArraySafely`.",
            f"returns values that are not int64; {SCHEMA}",
        ),
        (
            f"{SPARK}ValueError: Failed to convert the value of the column 'id' with type 'object' to Arrow type 'int64'. It can be caused by overflows.",
            f"returns column 'id' with values that are not int64; {SCHEMA}",
        ),
        (
            f"{SPARK}ValueError: Failed to convert the value of the column '_0' with type 'object' to Arrow type 'int64'. It can",
            f"returns values that are not int64; {SCHEMA}",
        ),
        (
            f"{SPARK}ValueError: [SOME_OTHER] Not so. Disable 'spark.sql.execution.pythonUDF.arrow.enabled' to workaround.",
            f"raised PySparkValueError: Not so.; {CORRECT}",
        ),
        (
            f"{SPARK}TypeError: Cannot convert the output value of the column 'id' with type 'object' to the specified return type of the column: 'string'. Please check.",
            f"returns column 'id' with values that are not string; {SCHEMA}",
        ),
        ("pyarrow.lib.ArrowInvalid: Could not convert 'secret' with type str: tried to convert to int64", f"returns values that do not fit the schema of the call; {SCHEMA}"),
        (
            f"{SPARK}RuntimeError: [STOP_ITERATION_OCCURRED] Caught StopIteration thrown from user's code; failing the task: ",
            "raised StopIteration; end a generator with return",
        ),
        (
            f"{SPARK}RuntimeError: [UDTF_EXEC_ERROR] User defined table function encountered an error in the 'eval' method: in udtf",
            f"raised in eval(): in udtf; {CORRECT}",
        ),
        (
            f"{SPARK}RuntimeError: [CONTEXT_ONLY_VALID_ON_DRIVER] It appears that you are attempting to reference SparkContext",
            "uses the Spark session; use it in transform() only, and give functions plain values",
        ),
    ],
)  # fmt: skip
def test_what_a_python_function_does_is_said_with_its_line(raised: str, told: str) -> None:
    """Failed before: "Please see the stack trace below", which is not below, and PySpark's sentences with its settings."""
    said = explain(PythonException(PYTHON.replace("{raised}", raised)), "out")
    assert said == f"node 'out': a Python function of the step (half, line 3) {told}"


def test_conditions_of_python_functions_are_those_of_this_pyspark() -> None:
    file = Path(pyspark.__file__).parent / "errors" / "error-conditions.json"
    assert python_words._SPARK.keys() <= json.loads(file.read_text()).keys()


def test_the_end_of_a_python_worker_is_told_without_settings_of_spark() -> None:
    """Failed before: "Job aborted due to stage failure: … Consider setting 'spark.sql.execution.pyspark.udf.faulthandler…"."""
    said = (
        "Job aborted due to stage failure: Task 0 in stage 3.0 failed 4 times, most recent failure: Lost task 0.3 in stage 3.0 "
        "(TID 9) (10.0.0.1 executor 0): org.apache.spark.SparkException: Python worker exited unexpectedly (crashed). Consider "
        "setting 'spark.sql.execution.pyspark.udf.faulthandler.enabled' or'spark.python.worker.faulthandler.enabled' configuration "
        "to 'true' for the better Python traceback.\n\tat org.apache.spark.api.python.BasePythonRunner"
    )  # fmt: skip
    assert explain(SparkConnectGrpcException(said), "out") == (
        "node 'out': a Python function of the step ended the process that it ran in: it crashed, was killed, or ended "
        "it; work on smaller batches if memory may have run out, and check native libraries and os._exit"
    )


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ("java.lang.IllegalStateException: Value at index is null", "a Python function of the step returns null in a column that its schema has as NOT NULL; fill it, or leave NOT NULL out of the schema"),
        ("com.example.Odd: 17", "Spark failed at this; check the SQL and the data of this node; `drls logs runs` has Spark's own message"),
    ],
)  # fmt: skip
def test_the_words_of_a_task_that_was_lost_are_not_passed_on(cause: str, told: str) -> None:
    said = f"Job aborted due to stage failure: Task 0 in stage 1.0 failed 4 times, most recent failure: Lost task 0.3 in stage 1.0 (TID 9) (10.0.0.1 executor 0): {cause}"
    assert explain(SparkConnectGrpcException(said), "out") == f"node 'out': {told}"
