from __future__ import annotations

import pickle

import pyarrow as pa
import pytest

from drls_dagster.engine.ray_work import ProcessRequest, StepCodeError, apply, conform

SCHEMA = pa.schema([("id", pa.int64()), ("late", pa.bool_())])


def request(python: str) -> ProcessRequest:
    return ProcessRequest(
        node="score",
        inputs=(),
        output="/nowhere",
        python=python,
        batch_size=10,
        cpus=1,
        gpus=0,
        concurrency=1,
        output_schema=SCHEMA.serialize().to_pybytes().hex(),
    )


def test_the_result_gets_the_order_and_types_of_the_output_schema() -> None:
    result = conform(pa.table({"late": [True], "id": pa.array([1], pa.int32())}), SCHEMA, "score")
    assert result.schema == SCHEMA
    assert result.to_pylist() == [{"id": 1, "late": True}]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (pa.table({"id": [1]}), "the output of node 'score' lacks late"),
        (pa.table({"id": [1], "late": [True], "more": [1]}), "has more besides"),
        (pa.table({"id": ["x"], "late": [True]}), "column 'id' of node 'score' is string"),
        (pa.table({"id": [1.5], "late": [True]}), "column 'id' of node 'score' is double"),
        ({"id": [1]}, "returned dict, not a pyarrow.Table"),
        (None, "returned NoneType, not a pyarrow.Table"),
    ],
)
def test_a_result_that_does_not_fit_is_told_by_node_and_column(result: object, told: str) -> None:
    with pytest.raises(StepCodeError) as error:
        conform(result, SCHEMA, "score")
    assert told in error.value.message


def test_a_function_that_fails_is_told_with_its_own_traceback_and_survives_pickling() -> None:
    with pytest.raises(StepCodeError) as error:
        apply(pa.table({"id": [1]}), request("def process(batch):\n    return batch['nope']"))
    again = pickle.loads(pickle.dumps(error.value))  # noqa: S301
    assert again.message.startswith("process() of node 'score' failed: KeyError")
    assert "<pipeline>" in again.details
