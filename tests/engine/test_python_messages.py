"""What people see when a Python function in Spark fails, misbehaves or ends its process (finding 26)."""

from __future__ import annotations

import re
from typing import Any

import dagster as dg
import pytest
from lab import Lab

from drls_dagster.assets.failures import as_failure
from drls_dagster.engine.outside import STEP

pytestmark = pytest.mark.slow

HEAD = "import os, signal\nimport pandas as pd\nfrom pyspark.sql.functions import pandas_udf, udf\n"
MAP = (
    HEAD
    + "def f(frames):\n    for frame in frames:\n        {0}\ndef transform(spark, raw): return raw.mapInPandas(f, '{1}')"
)
APPLY = HEAD + "def f(frame):\n    {0}\ndef transform(spark, raw): return raw.groupBy('id').applyInPandas(f, '{1}')"
VECTOR = (
    HEAD
    + "@pandas_udf('{1}')\ndef f(x: pd.Series) -> pd.Series:\n    {0}\ndef transform(spark, raw): return raw.select(f('id'))"
)
PLAIN = HEAD + "@udf('{1}')\ndef f(x):\n    {0}\ndef transform(spark, raw): return raw.select(f('id'))"
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
ENDED = "a Python function of the step ended the process that it ran in"
CASES = [
    (MAP, "raise ValueError('bad row')", "(f, line 6) raised ValueError: bad row; correct the function"),
    (MAP, "yield frame.assign(x=1)[['x']]", "returns other columns than the schema of the call has (missing id, extra x)"),
    (MAP, "yield pd.DataFrame({'id': ['secret']})", "returns column 'id' with values that are not int64; return what the"),
    (MAP, "yield [1]", "returns iterator of list, not iterator of pandas.DataFrame"),
    (MAP, KILL, ENDED),
    (APPLY, "raise KeyError('k')", "(f, line 5) raised KeyError: 'k'; correct the function"),
    (APPLY, "return frame.assign(x=1)", "returns other columns than the schema of the call has (extra x)"),
    (APPLY, "return [1]", "returns list, not pandas.DataFrame"),
    (VECTOR, "return x.head(1)", "returns 1 values for 2 rows; return one for each row that it gets, in their order"),
    (VECTOR, "bytearray(10**15)", "ran out of memory; work on smaller batches"),
    (PLAIN, "os._exit(3)", ENDED),
    (PLAIN, "raise ValueError('one\\ntwo')", "(f, line 6) raised ValueError: one two; correct the function"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "body", "told"), CASES)
def test_a_python_function_is_told_with_its_line_and_a_remedy(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, form: str, body: str, told: str
) -> None:
    """Failed before: "Please see the stack trace below", "Job aborted due to stage failure", PySpark's own advice."""
    monkeypatch.setenv("SPARK_CONNECT_MODE_ENABLED", "1")  # as in the process of a run's Python
    said = failure(lab, form.replace("{0}", body).replace("{1}", "id long" if form in {MAP, APPLY} else "long"))
    assert said.startswith("node 'step': a Python function of the step")
    assert told in said
    assert "; " in said
    assert "secret" not in said
    assert not any(word in said for word in ("\n", "Traceback", "spark.sql", "https://", "org.apache", "Job aborted"))
    assert not re.search(r"\[[A-Z_]{4,}", said), "a code of Spark's"


def failure(lab: Lab, text: str) -> str:
    spark = lab.session.spark
    known: dict[str, Any] = {"__name__": STEP}
    exec(compile(text, "<pipeline>", "exec"), known)  # noqa: S102  as the process of a run's Python does
    raw = spark.createDataFrame([(1,), (2,)], "id long").repartition(1)
    with pytest.raises(dg.Failure) as failed, as_failure("step", lab.settings):
        known["transform"](spark, raw).collect()
    return str(failed.value.description)
