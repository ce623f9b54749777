"""Rows get one number for several columns, columns get a dictionary, and groups share the cores."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from drls_dagster.maintenance.compact.encoding import writer_options
from drls_dagster.maintenance.compact.keys import SortField, sort_keys
from drls_dagster.maintenance.compact.packing import numbers, order_of, spans
from drls_dagster.maintenance.compact.running import at_a_time

VALUES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "whole": (pa.int32(), [-(2**31), 2**31 - 1, 0, 7, None]),
    "long": (pa.int64(), [-(2**40), 2**40, 0, -1, None]),
    "money": (pa.decimal128(18, 2), [Decimal("-999.99"), Decimal("0.01"), Decimal(0), None]),
    "day": (pa.date32(), [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1970, 1, 1), None]),
    "yes": (pa.bool_(), [True, False, None]),
}


@pytest.mark.parametrize("names", [("whole",), ("yes", "whole"), ("day", "yes"), ("yes", "money"), ("long", "yes")])
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("nulls_last", [True, False])
def test_numbers_of_rows_are_in_the_order_of_their_columns(
    names: tuple[str, ...], descending: bool, nulls_last: bool
) -> None:
    made = random.Random(17)
    rows = pa.table({one: pa.array(made.choices(VALUES[one][1], k=500), VALUES[one][0]) for one in names}).slice(3)
    fields = [
        SortField(at, one, descending if at else not descending, nulls_last if at else not nulls_last)
        for at, one in enumerate(names)
    ]
    within = spans(rows)
    assert within is not None
    found = numbers(rows, fields, within)
    assert found is not None

    keys, directions = sort_keys(rows, fields)
    wanted = pc.call_function("sort_indices", [keys], pc.SortOptions(directions))
    assert rows.take(pa.array(order_of(found))).equals(rows.take(wanted))


def test_values_outside_of_what_was_seen_count_as_its_ends() -> None:
    rows = pa.table({"n": pa.array([-(2**63), -5, 0, 5, 2**63 - 1], pa.int64())})

    found = numbers(rows, [SortField(1, "n")], [(-5, 5)])

    assert found is not None
    assert found.tolist() == [1, 1, 6, 11, 11]


def test_what_has_no_number_is_left_to_arrow() -> None:
    assert spans(pa.table({"x": [1.5], "n": [1]})) is None
    assert spans(pa.table({"s": ["a"]})) is None
    wide = pa.table({"a": pa.array([-(2**63), 2**63 - 1], pa.int64())})
    assert numbers(wide, [SortField(1, "a")], spans(wide) or []) is None


def test_rows_with_the_same_number_keep_their_order() -> None:
    few = np.array([3, 1, 3, 1, 2], dtype=np.uint64)
    large = few << np.uint64(61)

    assert order_of(few).tolist() == order_of(large).tolist() == [1, 3, 4, 0, 2]
    assert order_of(np.zeros(0, dtype=np.uint64)).tolist() == []


def test_columns_whose_values_repeat_get_a_dictionary() -> None:
    made = np.random.default_rng(17)
    rows = pa.table(
        {
            "key": np.arange(100_000),
            "few": made.integers(0, 100, 100_000),
            "empty": pa.nulls(100_000, pa.string()),
            "text": pa.array([f"text {one}" for one in range(100_000)]),
            "id": pa.array([one.to_bytes(16, "big") for one in range(100_000)], pa.binary(16)),
            "list": pa.array([[one] for one in range(100_000)]),
        }
    )

    assert writer_options({}, rows)["use_dictionary"] == ["few", "empty", "list.list.element"]
    assert writer_options({}, rows.slice(0, 1_000))["use_dictionary"] is True
    small = {"write.parquet.dict-size-bytes": "400"}
    assert writer_options(small, rows)["use_dictionary"] == ["empty", "list.list.element"]


@pytest.mark.parametrize(
    ("sizes", "wanted"), [([1], 2), ([1, 1], 2), ([1, 1, 1], 3), ([4, 4, 4, 4, 3], 3), ([1] * 64, 2)]
)
def test_so_many_groups_at_a_time_that_no_core_waits_for_the_last(sizes: list[int], wanted: int) -> None:
    assert at_a_time(sizes, 2) == wanted
