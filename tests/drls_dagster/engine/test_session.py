from __future__ import annotations

import pytest

from drls_dagster.engine.session import first_line

STAGE = (
    'Job aborted due to stage failure: ResultStage 5 (Spark Connect - session_id: "f"\nuser_context {\n}) has failed '
)


@pytest.mark.parametrize(
    "text",
    [
        STAGE + "the maximum allowable number of times: 4. Most recent failure reason:\norg.apache.spark.shuffle",
        (
            "Job aborted due to stage failure: Task 1 in stage 3.0 failed 4 times, most recent failure: Lost task 1.3 in "
            "stage 3.0 (TID 9) (127.0.0.1 executor 1): ExecutorLostFailure (executor 1 exited caused by one of the tasks)"
        ),
    ],
)
def test_an_executor_that_is_lost_again_and_again_is_told_with_what_helps(text: str) -> None:
    assert "raise engine.memory" in first_line(RuntimeError(text))


def test_of_other_errors_the_first_line_is_told() -> None:
    assert first_line(RuntimeError("[DIVIDE_BY_ZERO] Division by zero.\nJVM stacktrace: …")) == (
        "[DIVIDE_BY_ZERO] Division by zero."
    )


def test_an_error_that_says_only_where_is_told_with_what_is_behind_it() -> None:
    text = (
        "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///in/a.csv.  SQLSTATE: KD001\n\n"
        "JVM stacktrace:\norg.apache.spark.SparkException\n\tat a.b(C.scala:1)\n"
        "Caused by: org.apache.spark.SparkIllegalArgumentException: CSV header does not conform to the schema.\n"
        " Header: id, u\n Schema: id, t\n\tat d.e(F.scala:2)\nCaused by: java.lang.Error: no\n\tat g.h(I.scala:3)"
    )
    assert first_line(RuntimeError(text)) == (
        "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///in/a.csv.: "
        "CSV header does not conform to the schema. Header: id, u Schema: id, t"
    )
