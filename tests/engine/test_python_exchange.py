"""`drls.to_ray` and `drls.from_ray`: the same rows on both sides, and what is wrong in a line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import ray
import ray.data

import drls_dagster as drls
from drls_dagster.settings import Settings

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ROWS = pa.table(
    {
        "id": pa.array([1, 2, None], pa.int64()),
        "name": ["a", None, "ü"],
        "price": pa.array([Decimal("1.50"), None, Decimal("-0.01")], pa.decimal128(10, 2)),
        "share": [float("nan"), -0.0, None],
        "day": [date(2024, 2, 29), None, date(1900, 1, 1)],
        "at": pa.array([datetime(2024, 3, 31, 1, 30, tzinfo=UTC), None, datetime(1900, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        "wall": pa.array([datetime(2024, 3, 31, 2, 30), None, datetime(1900, 1, 1)], pa.timestamp("us")),
        "raw": [b"\x00\xff", b"", None],
        "tags": [["x", None], [], None],
        "place": [{"lat": 1.0, "of": [1]}, None, {"lat": None, "of": None}],
    }
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def own_ray() -> Iterator[None]:
    """The Ray of the program."""
    with ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False):
        yield


@pytest.fixture(autouse=True)
def session(engine: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DRLS_HOME", str(engine.home))
    yield
    drls.stop()


def told(rows: pa.Table) -> list[str]:
    """Rows as text, in which NaN and -0.0 are what they are."""
    return sorted(map(str, rows.to_pylist()))


def rows_of(dataset: Any) -> pa.Table:
    return pa.concat_tables(ray.get(dataset.to_arrow_refs()))


def test_rows_go_to_spark_and_back_with_every_type() -> None:
    frame = drls.from_ray(ray.data.from_arrow([ROWS.slice(0, 1), ROWS.slice(1)]))
    assert told(frame.toArrow()) == told(ROWS)
    back = drls.to_ray(frame)
    assert told(rows_of(back)) == told(ROWS)
    assert rows_of(back).schema.field("at").type == pa.timestamp("us", "UTC")
    assert frame.where("id > 1").count() == 1


def test_a_frame_is_computed_once_and_may_be_empty() -> None:
    frame = drls.spark().sql("SELECT uuid() AS key FROM range(50)")
    dataset = drls.to_ray(frame)
    once = sorted(row["key"] for row in dataset.take_all())
    assert sorted(row["key"] for row in dataset.take_all()) == once
    empty = drls.to_ray(frame.where("false"))
    back = drls.from_ray(empty)
    assert (empty.count(), back.columns, back.count()) == (0, ["key"], 0)


def test_blocks_agree_on_columns_whatever_their_order_and_nulls() -> None:
    first = pa.table({"a": [1], "b": pa.nulls(1)})
    second = pa.table({"b": ["x"], "a": [2]})
    frame = drls.from_ray(ray.data.from_arrow([first, second]))
    assert sorted(map(tuple, frame.select("a", "b").collect())) == [(1, None), (2, "x")]


@pytest.mark.parametrize(
    ("blocks", "wrong"),
    [
        ([pa.table({"a": [1]}), pa.table({"a": ["x"]})], "do not fit each other: .*a"),
        ([pa.table({"a": [1], "b": [1]}), pa.table({"a": [1]})], "a block lacks b"),
        ([pa.table({"a": pa.nulls(2)})], "column 'a' has no type, only nulls"),
        ([pa.table({"a": pa.array([1], pa.duration("s"))})], r"column 'a' is duration\[s\], which Spark does not have"),
        ([pa.table({"a": pa.array([1], pa.timestamp("ns"))})], "would lose data.*; cast the column"),
    ],
)
def test_blocks_that_spark_cannot_have_are_refused_by_name(blocks: list[pa.Table], wrong: str) -> None:
    with pytest.raises(drls.UsageError, match=f"^from_ray: .*{wrong}"):
        drls.from_ray(ray.data.from_arrow(blocks))


def test_tensors_are_refused_by_name() -> None:
    with pytest.raises(drls.UsageError, match=r"column 'data' is a .*; make lists or binary of it"):
        drls.from_ray(ray.data.from_numpy(np.zeros((2, 3))))


@pytest.mark.parametrize(
    ("column", "wrong"),
    [("NULL", "only nulls"), ("INTERVAL 1 MONTH", "an interval"), ("parse_json('{}')", "a variant")],
)
def test_columns_that_ray_cannot_have_are_refused_by_name(column: str, wrong: str) -> None:
    with pytest.raises(drls.UsageError, match=f"to_ray: column 'a' .*{wrong}"):
        drls.to_ray(drls.spark().sql(f"SELECT {column} AS a"))
