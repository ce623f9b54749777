"""What people read of a pipeline's own Python that gives or raises something else (finding 26)."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from pyspark.errors import PySparkAttributeError

from drls_dagster.engine.code_work import _Host
from drls_dagster.engine.step_code import told


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (pd.DataFrame(), "a DataFrame of pandas, not one of Spark; return spark.createDataFrame(…) of it"),
        (None, "NoneType, not a DataFrame; return a DataFrame of Spark"),
    ],
)
def test_another_result_than_a_frame_of_spark_is_named(result: Any, said: str) -> None:
    """Failed before for pandas: "returned DataFrame, not a DataFrame"."""
    spark: Any = None
    message, plans = _Host()._frame("made", spark, result)
    assert (message, plans) == ({"kind": "failed", "error": f"transform() of node 'made' returned {said}"}, [])


def test_an_error_of_spark_in_a_function_has_no_code_of_sparks() -> None:
    """Failed before: "[ATTRIBUTE_NOT_SUPPORTED]"."""
    error = PySparkAttributeError(errorClass="ATTRIBUTE_NOT_SUPPORTED", messageParameters={"attr_name": "gone"})
    assert told(error) == "PySparkAttributeError: Attribute `gone` is not supported."
    assert told(ValueError("[a] of [1, 2] and [IDS]")) == "ValueError: [a] of [1, 2] and [IDS]"
