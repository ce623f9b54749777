"""L15: whether a foreign compaction kept every row is read from the data. Real Iceberg files."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from position_deletes import delete_rows
from pyiceberg.table.snapshots import Operation

from drls_dagster.lakehouse import refs
from lifecycle.errors import LifecycleError, Refused
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.settle_drift import settle_drift
from tests.fakes.lake import LakePlane
from tests.fakes.rows import Row
from tests.lifecycle.life import PRODUCTION, SETUP, Life

T, DAILY = "lab.t", "flights.daily"
A, B, C = {"id": 1, "note": "a"}, {"id": 2, "note": "b"}, {"id": 3, "note": None}


def rewritten(lake: LakePlane, table: str, rows: Sequence[Row]) -> int:
    """All files in one, with these rows, as a snapshot on main that calls itself `replace`."""
    written = lake.commit(table, operation="overwrite", rows=rows)
    found = lake.lake_table(table)
    snapshot = found.snapshot_by_id(written)
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.parent_snapshot_id is not None
    return lake.as_replace(table, written)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((C, B, A), ()),
        ((A, B), ("the row count was 3 and is 2",)),
        ((A, B, {"id": 4, "note": None}), ("column id has other values",)),
        ((A, {"id": 2, "note": None}, {"id": 3, "note": "b"}), ("the values of different rows were exchanged",)),
        (({"id": 9, "note": "z"}, B, C), ("column id has other values", "column note has other values")),
    ],
)
def test_l15_row_counts_and_columns_are_compared(lake: LakePlane, rows: Sequence[Row], said: tuple[str, ...]) -> None:
    for row in (A, B):
        lake.commit(T, rows=(row,))
    base = lake.commit(T, rows=(C,))
    assert tuple(lake.differing(T, PRODUCTION, base, rewritten(lake, T, rows))) == said


def test_l15_rows_that_position_deletes_hide_do_not_count(lake: LakePlane) -> None:
    lake.commit(T, rows=(A, B, C))
    delete_rows(lake.catalog, lake.lake_table(T), [1])
    base = lake.head(T, "main")
    assert base is not None
    assert not lake.differing(T, PRODUCTION, base, rewritten(lake, T, (A, C)))


def test_l15_a_snapshot_that_has_expired_cannot_be_compared(lake: LakePlane) -> None:
    base = lake.commit(T, rows=(A,))
    with pytest.raises(LifecycleError, match="no longer has snapshot 1"):
        lake.differing(T, PRODUCTION, 1, base)


@pytest.mark.parametrize("kept", [True, False])
def test_l15_a_foreign_compaction_of_production_is_drift_until_it_is_compared(life: Life, kept: bool) -> None:
    life.to_production(life.save())
    lake = life.plane
    assert isinstance(lake, LakePlane)
    rows = lake.rows(DAILY)
    compacted = rewritten(lake, DAILY, rows if kept else [{**rows[0], "note": "forged"}, *rows[1:]])
    table = lake.lake_table(DAILY)
    snapshot = table.snapshot_by_id(compacted)
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.summary.operation is Operation.REPLACE
    assert refs.head(table, "main") == compacted
    (drift,) = reconcile(life.ctx, SETUP).drifts
    assert drift.found == compacted
    if kept:
        settle_drift(life.ctx, life.as_("lea"), drift.id, "adopt", reason="the nightly job")
        assert reconcile(life.ctx, SETUP).drifts == ()
    else:
        with pytest.raises(Refused, match="holds other rows: column note has other values; revert the drift"):
            settle_drift(life.ctx, life.as_("lea"), drift.id, "adopt", reason="the nightly job")
