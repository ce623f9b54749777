"""What a command left is read as it declares it, or refused in one line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drls_dagster.engine.output_check import Unfit, checked
from drls_dagster.lakehouse.columns import arrow_schema

SCHEMA = {"id": "long", "at": "timestamp", "name": "string", "price": "decimal(10,2)"}


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    for name in ("output", "target"):
        (tmp_path / name).mkdir()
    schema = arrow_schema(SCHEMA).serialize().to_pybytes().hex()
    return {"schema": schema, "output": str(tmp_path / "output"), "target": str(tmp_path / "target")}


def rows(**changed: Any) -> pa.Table:
    given = {
        "name": pa.array(["a", None]).dictionary_encode(),
        "id": pa.array([1, 2], pa.int32()),
        "at": pa.array([dt.datetime(2024, 1, 1), None], pa.timestamp("ns", "Europe/Vienna")),
        "price": pa.array([1, 2], pa.int16()),
        **changed,
    }
    return pa.table({name: column for name, column in given.items() if column is not None})


def left(asked: dict[str, Any], name: str, table: pa.Table) -> None:
    file = Path(asked["output"], name)
    file.parent.mkdir(exist_ok=True)
    pq.write_table(table, file)


def test_rows_come_out_with_the_declared_columns_and_types(asked: dict[str, Any]) -> None:
    left(asked, "b.parquet", rows())
    left(asked, "more/a.parquet", rows())
    left(asked, "c.parquet", rows().slice(0, 0))
    for unfinished in (".d.parquet", "_e.parquet", "notes.txt"):
        Path(asked["output"], unfinished).write_text("not Parquet")
    found = checked(asked)
    assert [rows for _, rows in found] == [2, 2]
    for name, _ in found:
        table = pq.read_table(Path(asked["target"], name))
        assert table.schema.equals(arrow_schema(SCHEMA))
        assert table["id"].to_pylist() == [1, 2]


def test_an_output_without_rows_is_one(asked: dict[str, Any]) -> None:
    left(asked, "a.parquet", rows().slice(0, 0))
    assert checked(asked) == []


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"name": None}, "'a.parquet' lacks name; output_schema says id, at, name, price"),
        ({"more": pa.array([1, 2])}, "'a.parquet' has extra columns more; output_schema says"),
        (
            {"id": pa.array(["x", "y"])},
            "column 'id' of 'a.parquet' is string, which does not fit output_schema's int64",
        ),
        ({"price": pa.array([10**9, 2])}, "column 'price' of 'a.parquet' is int64, which does not fit"),
    ],
)
def test_columns_that_do_not_fit_are_named(asked: dict[str, Any], changed: dict[str, Any], wrong: str) -> None:
    left(asked, "a.parquet", rows(**changed))
    with pytest.raises(Unfit) as unfit:
        checked(asked)
    assert str(unfit.value).startswith(wrong)


@pytest.mark.parametrize("content", [b"", b"not Parquet", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_named(asked: dict[str, Any], content: bytes) -> None:
    Path(asked["output"], "a.parquet").write_bytes(content)
    with pytest.raises(Unfit, match=r"'a.parquet' cannot be read as Parquet: ") as unfit:
        checked(asked)
    assert "\n" not in str(unfit.value)


def test_a_file_that_is_damaged_in_the_middle_is_named(asked: dict[str, Any]) -> None:
    left(asked, "a.parquet", pa.concat_tables([rows()] * 5000))
    file = Path(asked["output"], "a.parquet")
    content = bytearray(file.read_bytes())
    content[100:400] = b"\xff" * 300
    file.write_bytes(content)
    with pytest.raises(Unfit, match=r"'a.parquet' cannot be read as Parquet: "):
        checked(asked)


def test_nothing_a_link_and_a_pipe_are_no_output(asked: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Unfit, match=r"it left no \.parquet file in its output folder; write one without rows"):
        checked(asked)
    pq.write_table(rows(), tmp_path / "elsewhere")
    Path(asked["output"], "a.parquet").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unfit, match=r"'a\.parquet' in its output folder is a link"):
        checked(asked)
