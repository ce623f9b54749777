from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drls_dagster.engine.ray_work import refuse_too_much, write_part
from drls_dagster.engine.step_part import apply, batches, conform, gathered
from drls_dagster.engine.step_request import ProcessRequest, StepCodeError
from drls_dagster.settings import FenceSettings
from drls_dagster.steps.staging import PART_BYTES, staged_parts

SCHEMA = pa.schema([("id", pa.int64()), ("late", pa.bool_())])


def request(python: str, output: str = "/nowhere") -> ProcessRequest:
    return ProcessRequest(
        node="score",
        inputs=(),
        output=output,
        python=python,
        batch_size=3,
        cpus=1,
        gpus=0,
        concurrency=1,
        output_schema=SCHEMA.serialize().to_pybytes().hex(),
        fence=FenceSettings(mode="off"),
    )


def test_the_result_gets_the_order_and_types_of_the_output_schema() -> None:
    result = conform(pa.table({"late": [True], "id": pa.array([1], pa.int32())}), SCHEMA, "score")
    assert result.schema == SCHEMA
    assert result.to_pylist() == [{"id": 1, "late": True}]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (pa.table({"id": [1]}), "the output of node 'score' lacks late"),
        (pa.table({"id": [1], "late": [True], "more": [1]}), "has extra columns more"),
        (pa.Table.from_arrays([[1], [True], [2]], ["id", "late", "id"]), "has id twice"),
        (pa.table({"id": ["x"], "late": [True]}), "column 'id' of node 'score' is string"),
        (pa.table({"id": [1.5], "late": [True]}), "column 'id' of node 'score' is double"),
        (
            pa.table({"id": ["secret"], "late": [True]}),
            "fit output_schema's int64 (a text is not written as one); convert it",
        ),
        (
            pa.table({"id": [1.5], "late": [True]}),
            "fit output_schema's int64 (a value would lose a part); convert it in the",
        ),
        (
            pa.table({"id": pa.array([2**63], pa.uint64()), "late": [True]}),
            "does not fit output_schema's int64 (a value is too large); conv",
        ),
        (
            pa.table({"id": [[1]], "late": [True]}),
            "which does not fit output_schema's int64; convert it in the code, or",
        ),
        ({"id": [1]}, "returned dict, not a pyarrow.Table; return one, for example with pa.Table.from_pandas(frame)"),
        (None, "returned NoneType, not a pyarrow.Table"),
    ],
)
def test_a_result_that_does_not_fit_is_told_by_node_and_column(result: object, told: str) -> None:
    with pytest.raises(StepCodeError) as error:
        conform(result, SCHEMA, "score")
    assert told in error.value.message
    assert "; " in error.value.message
    assert "secret" not in error.value.message, "a value, which is not for everyone who sees the run"


def test_a_function_that_fails_is_told_with_its_own_traceback_and_survives_pickling() -> None:
    with pytest.raises(StepCodeError) as error:
        apply(pa.table({"id": [1]}), request("def process(batch):\n    return batch['nope']"))
    again = pickle.loads(pickle.dumps(error.value))  # noqa: S301
    assert again.message.startswith("process() of node 'score' failed: KeyError")
    assert "<pipeline>" in again.details


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("import nothing_of_that_name\ndef process(batch): ...", "ModuleNotFoundError: No module named"),
        (
            "import sys\ndef process(batch): sys.exit(3)",
            "SystemExit: 3; correct the function, or the values that it gets",
        ),
        ("def process(batch): raise KeyboardInterrupt", "KeyboardInterrupt; correct the function"),
        ("class Own(BaseException): ...\ndef process(batch): raise Own('x')", "Own: x; correct the function"),
        ("def process(batch): raise ValueError('one\\ntwo')", "ValueError: one two"),
        (
            "class Odd(Exception):\n  def __str__(self): return 1\ndef process(batch): raise Odd",
            "Odd: (it has no text)",
        ),
    ],
)
def test_whatever_the_function_raises_is_told_in_one_line(python: str, said: str) -> None:
    with pytest.raises(StepCodeError) as error:
        apply(pa.table({"id": [1]}), request(python))
    assert f"process() of node 'score' failed: {said}" in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    ("cpus", "gpus", "held"),
    [(2, 0, True), (0.5, 0, True), (3, 0, False), (1, 1, True), (2, 1, False), (0, 2, False)],
)
def test_a_worker_that_no_node_can_hold_is_refused(cpus: float, gpus: float, held: bool) -> None:
    asked = request("def process(batch): return batch").model_copy(update={"cpus": cpus, "gpus": gpus})
    nodes = [{"CPU": 2.0}, {"CPU": 1.0, "GPU": 1.0}]
    if held:
        refuse_too_much(asked, nodes)
        return
    with pytest.raises(StepCodeError, match="Ray has 2 CPU and 1 GPU here: lower its resources"):
        refuse_too_much(asked, nodes)


def files(folder: Path, *sizes: int) -> list[str]:
    """Files of so many rows; their ids count on from file to file."""
    folder.mkdir()
    paths: list[str] = []
    start = 0
    for number, size in enumerate(sizes):
        paths.append(str(folder / f"{number:03}.parquet"))
        pq.write_table(pa.table({"id": pa.array(range(start, start + size), pa.int64())}), paths[-1])
        start += size
    return paths


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((), []),
        ((0,), []),
        ((2,), [2]),
        ((3, 3), [3, 3]),
        ((7,), [3, 3, 1]),
        ((1, 1, 1, 1), [3, 1]),
        ((2, 0, 5), [3, 3, 1]),
    ],
)
def test_batches_have_their_size_however_small_the_files_are(
    tmp_path: Path, sizes: tuple[int, ...], expected: list[int]
) -> None:
    found = list(batches(files(tmp_path / "in", *sizes), 3))
    assert [batch.num_rows for batch in found] == expected
    assert [i for batch in found for i in batch["id"].to_pylist()] == list(range(sum(sizes)))


def test_small_results_share_a_row_group() -> None:
    tables = [pa.table({"id": pa.array([n] * size, pa.int64())}) for n, size in enumerate((4, 0, 4, 1, 9, 2))]
    found = list(gathered(tables, 64))
    assert [table.num_rows for table in found] == [8, 10, 2]
    assert pa.concat_tables(found) == pa.concat_tables(tables)


def test_a_part_becomes_one_file_that_its_answer_names(tmp_path: Path) -> None:
    part = pa.table({"paths": [files(tmp_path / "in", 4, 3)]})
    python = """
import pyarrow as pa
import pyarrow.compute as pc

def process(batch):
    assert batch.num_rows <= 3
    kept = batch.filter(pc.not_equal(batch["id"], 5))
    return pa.table({"id": kept["id"], "late": pc.greater(kept["id"], 2)})
"""
    (told,) = write_part(part, request(python, str(tmp_path / "out"))).to_pylist()
    (file,) = (tmp_path / "out").iterdir()
    assert (told["path"], told["rows"], told["bytes"]) == (str(file), 6, file.stat().st_size)
    assert pq.read_table(file).to_pylist() == [{"id": n, "late": n > 2} for n in (0, 1, 2, 3, 4, 6)]


def test_a_part_without_results_leaves_no_file(tmp_path: Path) -> None:
    python = "def process(batch):\n    return batch.slice(0, 0).append_column('late', [[]])"
    part = pa.table({"paths": [files(tmp_path / "in", 4)]})
    assert write_part(part, request(python, str(tmp_path / "out"))).num_rows == 0
    assert list((tmp_path / "out").iterdir()) == []


def test_small_files_share_a_task_and_large_ones_have_their_own(tmp_path: Path) -> None:
    sizes = {"a": 1, "b": PART_BYTES - 1, "c": 1, "d": 2 * PART_BYTES, "e": PART_BYTES, "f": 5}
    for name, size in sizes.items():
        with (tmp_path / f"{name}.parquet").open("wb") as file:
            file.truncate(size)
    (tmp_path / "_SUCCESS").touch()
    parts = staged_parts(str(tmp_path), 2)
    assert [[Path(path).stem for path in part] for part in parts] == [["a", "b"], ["c"], ["d"], ["e"], ["f"]]


@pytest.mark.parametrize(("concurrency", "expected"), [(1, 1), (2, 2), (4, 4), (100, 8)])
def test_small_files_are_shared_out_among_the_workers_that_are_asked_for(
    tmp_path: Path, concurrency: int, expected: int
) -> None:
    for number in range(8):
        (tmp_path / f"{number}.parquet").write_bytes(b"x" * 1000)
    assert len(staged_parts(str(tmp_path), concurrency)) == expected
