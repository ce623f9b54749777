from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.tables import UnknownTableError, find_table, list_tables, preview

SCHEMA = pa.schema([("x", pa.int64())])


def rows(*values: int) -> pa.Table:
    return pa.table({"x": list(values)})


@pytest.fixture
def catalog() -> Catalog:
    """`flights.daily` (3 rows, its branch `qa` at the first 2), its development twin, and an empty table."""
    catalog = load_catalog()
    for name in ("flights.daily", "flights__development.daily", "eu.flights.empty"):
        catalog.create_namespace_if_not_exists(name.rpartition(".")[0])
        catalog.create_table(name, schema=SCHEMA)
    daily = catalog.load_table("flights.daily")
    daily.append(rows(1, 2))
    head = daily.metadata.current_snapshot_id
    assert head is not None
    daily.manage_snapshots().create_branch(head, "qa").commit()
    daily.append(rows(3))
    catalog.load_table("flights__development.daily").append(rows(7))
    return catalog


def test_all_tables_are_listed_by_name_with_their_heads_totals(catalog: Catalog) -> None:
    found = {summary.name: summary for summary in list_tables(catalog)}
    assert list(found) == ["eu.flights.empty", "flights.daily", "flights__development.daily"]
    daily = found["flights.daily"]
    assert (daily.rows, daily.data_files, daily.branches) == (3, 2, ("main", "qa"))
    assert daily.bytes
    assert daily.updated_at


def test_an_empty_table_has_no_rows_and_no_snapshot(catalog: Catalog) -> None:
    empty = list_tables(catalog)[0]
    assert (empty.rows, empty.snapshot_id, empty.data_files, empty.bytes) == (0, None, 0, 0)
    assert preview(find_table(catalog, "eu.flights.empty"), limit=5)[1].num_rows == 0


def test_a_table_whose_metadata_is_gone_does_not_hide_the_others(catalog: Catalog) -> None:
    metadata = catalog.load_table("flights.daily").metadata_location
    Path(metadata.removeprefix("file://")).unlink()
    broken = {summary.name: summary.error for summary in list_tables(catalog)}
    assert "daily" in (broken.pop("flights.daily") or "")
    assert set(broken.values()) == {None}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (None, [1, 2, 3]),
        ("production", [1, 2, 3]),
        ("qa", [1, 2]),
        # A table without a branch of its own is read at main.
        ("uat", [1, 2, 3]),
        ("development", [7]),
    ],
)
def test_a_name_is_read_where_its_environment_keeps_it(
    catalog: Catalog, environment: str | None, expected: list[int]
) -> None:
    _snapshot, data = preview(find_table(catalog, "flights.daily", environment), limit=10)
    assert sorted(data["x"].to_pylist()) == expected


def test_a_preview_takes_a_limit_a_ref_or_a_snapshot(catalog: Catalog) -> None:
    found = find_table(catalog, "flights.daily")
    assert preview(found, limit=1)[1].num_rows == 1
    at_qa = preview(found, limit=10, ref="qa")
    assert sorted(at_qa[1]["x"].to_pylist()) == [1, 2]
    assert at_qa[0] is not None
    assert preview(found, limit=10, snapshot_id=at_qa[0]) == at_qa
    with pytest.raises(DrlsError, match=r"no ref 'uat'; it has: main, qa"):
        preview(found, limit=1, ref="uat")
    with pytest.raises(DrlsError, match="no snapshot 5"):
        preview(found, limit=1, snapshot_id=5)


@pytest.mark.parametrize(
    ("name", "near"),
    [("daily", "flights.daily"), ("flights.dayly", "flights.daily"), ("other.empty", "eu.flights.empty")],
)
def test_an_unknown_table_is_answered_with_near_names(catalog: Catalog, name: str, near: str) -> None:
    with pytest.raises(UnknownTableError, match=f"there is no table {name}; did you mean: .*{near}"):
        find_table(catalog, name)


def test_an_unknown_table_without_a_near_name_points_to_the_list(catalog: Catalog) -> None:
    with pytest.raises(UnknownTableError, match="drls table list"):
        find_table(catalog, "zzz.qqq", "qa")
