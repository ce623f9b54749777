"""The change feed as the verb answers it: in pages that together are the feed, and no longer than they may be."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.expressions import EqualTo

from drls_dagster.lakehouse.changes import read_changes
from drls_dagster.lakehouse.reader import IcebergTables
from lifecycle.domain.tables import ChangesAsked, ReadLimits, TableAt
from lifecycle.errors import Invalid, NotFound, Refused
from tests.iceberg_tables import make_table

T = TableAt(name="lab.t")


def limited(rows: int, most_bytes: int = 100_000) -> ReadLimits:
    return ReadLimits(rows=rows, bytes=most_bytes, seconds=30, text=1_000)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [2, 100])
def test_pages_together_are_the_feed(tables: IcebergTables, rows: int) -> None:
    table = make_table("lab.t", {"id": [1, 2, 3]}, {"id": [4, 5]})
    table.delete(EqualTo("id", 2))
    whole = [(one["id"], one["_change_type"]) for one in read_changes(table.refresh()).read_all().to_pylist()]
    found: list[tuple[Any, ...]] = []
    ask = ChangesAsked()
    while True:
        page = tables.changes(T, ask, limited(rows))
        assert len(page.rows) <= rows
        found += [(row[0], row[1]) for row in page.rows]
        if page.next is None:
            break
        assert "there are more" in page.cut
        ask = ChangesAsked(since=page.next.since, skip=page.next.skip, until=page.until)
    assert found == whole
    assert [one.name for one in page.columns[1:]] == [
        "_change_type", "_snapshot_id", "_snapshot_ordinal", "_committed_at"
    ]  # fmt: skip


def test_an_answer_has_a_limit_of_bytes(tables: IcebergTables) -> None:
    make_table("lab.t", {"text": ["x" * 900] * 100})
    page = tables.changes(T, ChangesAsked(), limited(1_000, 10_000))
    assert 5 <= len(page.rows) <= 11
    assert page.next is not None
    assert page.next.skip == len(page.rows)


def test_what_cannot_be_read_is_an_error_in_a_line(tables: IcebergTables) -> None:
    table = make_table("lab.t", {"id": [1]}, {"id": [2]})
    first, second = (one.snapshot_id for one in table.snapshots())
    for ask, kind, said in (
        (ChangesAsked(since=5), Refused, "no snapshot 5"),
        (ChangesAsked(until=5), NotFound, "no snapshot 5"),
        (ChangesAsked(ref="no"), NotFound, "no ref 'no'"),
        (ChangesAsked(keys=("x'; DROP",)), Invalid, 'no column "x\'; DROP"'),
    ):
        with pytest.raises(kind, match=said):
            tables.changes(T, ask, limited(10))
    table.maintenance.expire_snapshots().by_id(first).commit()
    with pytest.raises(Refused, match=f"in full at snapshot {second}"):
        tables.changes(T, ChangesAsked(), limited(10))


def test_a_table_without_a_snapshot_has_no_changes(tables: IcebergTables) -> None:
    make_table("lab.t", pa.table({"id": pa.array([], pa.int64())}))
    page = tables.changes(T, ChangesAsked(), limited(10))
    assert (page.rows, page.until, page.next) == ((), None, None)
