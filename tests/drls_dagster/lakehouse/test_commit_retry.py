from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.table import Table
from pyiceberg.table.refs import SnapshotRefType
from pyiceberg.table.update import AssertRefSnapshotId, SetSnapshotRefUpdate

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.commit_retry import CommitConflictError, commit_with_retry


@pytest.fixture
def table() -> Table:
    catalog = load_catalog()
    catalog.create_namespace("flights")
    table = catalog.create_table("flights.daily", schema=pa.schema([("x", pa.int64())]))
    table.append(pa.table({"x": [1]}))
    return table


def move_tag(table: Table, base: int | None) -> Any:
    """Compare-and-set: put the tag `seen` on the head if `main` is still at `base`."""
    head = table.metadata.current_snapshot_id
    assert head is not None
    update = SetSnapshotRefUpdate(ref_name="seen", type=SnapshotRefType.TAG, snapshot_id=head)
    return table.catalog.commit_table(table, (AssertRefSnapshotId(ref="main", snapshot_id=base),), (update,))


def test_d14_a_conflict_is_tried_again_until_the_newest_head_is_met(table: Table) -> None:
    bases = iter([1, 2, table.metadata.current_snapshot_id])
    commit_with_retry(lambda: move_tag(table, next(bases)), what="tag")
    assert "seen" in table.refresh().refs()


def test_d14_a_lasting_conflict_ends_in_a_clear_error_after_a_bounded_number(table: Table) -> None:
    calls = 0

    def always_stale() -> None:
        nonlocal calls
        calls += 1
        move_tag(table, 1)

    with pytest.raises(CommitConflictError, match=r"tag flights\.daily: .* first 3 times, so nothing") as caught:
        commit_with_retry(always_stale, what="tag flights.daily", attempts=3)
    assert calls == 3
    assert isinstance(caught.value.__cause__, CommitFailedException)
    assert "seen" not in table.refresh().refs()


def test_d14_an_unknown_outcome_is_not_tried_again() -> None:
    calls = 0

    def unknown() -> None:
        nonlocal calls
        calls += 1
        raise CommitStateUnknownException("the answer was lost")

    with pytest.raises(CommitStateUnknownException):
        commit_with_retry(unknown, what="append")
    assert calls == 1
