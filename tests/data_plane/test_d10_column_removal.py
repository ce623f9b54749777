"""D10 on real tables: what a withdrawn version added goes, but nothing that production has values in."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import IntegerType, NestedField, StringType, StructType

from drls_dagster.lakehouse import refs
from tests.fakes.lake import LakePlane

TABLE = "flights.daily"


@pytest.fixture
def table(lake: LakePlane) -> None:
    """One row on main, columns `id` and `note`; then a branch run has added `b`, `parts` and a row with both."""
    lake.commit(TABLE)
    found = lake.lake_table(TABLE)
    with found.update_schema() as update:
        update.add_column("b", StringType())
        update.add_column("parts", StructType(NestedField(100, "x", IntegerType(), required=False)))
    head = refs.head(found, "main")
    assert head is not None
    refs.create_branch(lake.catalog, found, "qa", head)
    append(lake, {"id": 2, "note": "y", "b": "tried", "parts": {"x": 1}}, branch="qa")


def append(lake: LakePlane, row: dict[str, Any], branch: str = "main") -> None:
    found = lake.lake_table(TABLE)
    found.append(pa.Table.from_pylist([row], found.schema().as_arrow()), branch=branch)


def columns(lake: LakePlane) -> list[str]:
    return [field.name for field in lake.lake_table(TABLE).schema().fields]


@pytest.mark.usefixtures("table")
def test_d10_columns_without_a_value_on_main_go(lake: LakePlane) -> None:
    append(lake, {"id": 3, "note": "z", "b": None, "parts": None})
    heads = {name: ref.snapshot_id for name, ref in lake.lake_table(TABLE).metadata.refs.items()}
    assert lake.drop_columns(TABLE, ["b", "parts", "unheard"]) == ("b", "parts", "unheard")
    assert columns(lake) == ["id", "note"]
    assert {name: ref.snapshot_id for name, ref in lake.lake_table(TABLE).metadata.refs.items()} == heads
    assert sorted(row["id"] for row in lake.lake_table(TABLE).scan().to_arrow().to_pylist()) == [1, 3]
    assert lake.drop_columns(TABLE, ["b", "parts"]) == ("b", "parts"), "who was killed after it hears the same"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("row", "kept"), [({"b": "used", "parts": None}, "b"), ({"b": None, "parts": {"x": 5}}, "parts")]
)
def test_d10_a_column_that_main_has_a_value_in_stays(lake: LakePlane, row: dict[str, Any], kept: str) -> None:
    append(lake, {"id": 3, "note": "z", **row})
    gone = lake.drop_columns(TABLE, ["b", "parts"])
    assert {*gone, kept} == {"b", "parts"}
    assert kept in columns(lake)


@pytest.mark.usefixtures("table")
def test_d10_a_column_of_the_layout_stays(lake: LakePlane) -> None:
    with lake.lake_table(TABLE).update_spec() as update:
        update.add_field("b", IdentityTransform(), "b")
    assert lake.drop_columns(TABLE, ["b"]) == ()
    assert "b" in columns(lake)


def test_d10_a_table_that_is_not_there_has_no_columns(lake: LakePlane) -> None:
    assert lake.drop_columns(TABLE, ["b"]) == ("b",)
