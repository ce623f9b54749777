"""How many rows a read of an Iceberg table takes, as its summaries say; no number where they cannot say it exactly."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table.snapshots import Operation, Snapshot, Summary

from drls_dagster.lakehouse import refs
from drls_dagster.steps.sources.iceberg import IcebergPin
from drls_dagster.steps.sources.iceberg_rows import _tell_all, tell_rows
from drls_dagster.steps.sources.tally import RowsRead, Tally
from lifecycle.domain.run import InputRead


@pytest.fixture
def catalog(tmp_path: Path) -> SqlCatalog:
    found = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    found.create_namespace("n")
    table = found.create_table("n.t", pa.schema([("id", pa.int64())]))
    for rows in ([1, 2], [3], [4, 5, 6]):
        table.append(pa.table({"id": rows}))
    return found


def read(catalog: SqlCatalog, start: int | None, end: int | None) -> RowsRead:
    tally = Tally()
    uuid = str(catalog.load_table("n.t").metadata.table_uuid)
    tell_rows(tally, catalog, IcebergPin("n.t", uuid, "main", end), start, end)
    return tally.read


def test_rows_at_a_snapshot_and_between_two(catalog: SqlCatalog) -> None:
    third, second, first = (one.snapshot_id for one in refs.ancestors(catalog.load_table("n.t"), _head(catalog)))
    assert read(catalog, None, third) == RowsRead(6)
    assert read(catalog, None, first) == RowsRead(2)
    assert read(catalog, first, third) == RowsRead(4)
    assert read(catalog, second, second) == RowsRead(0)
    assert read(catalog, None, None) == RowsRead(0)
    assert read(catalog, 7, third) == RowsRead(why="snapshots between the last read and this one have expired")


@pytest.mark.parametrize(
    ("summary", "why"),
    [
        ({"total-records": "6", "total-delete-files": "1"}, "the table has delete files"),
        ({"total-delete-files": "0"}, "the snapshot's summary does not say"),
        ({"total-records": "6"}, "the snapshot's summary does not say"),
    ],
)
def test_a_number_that_may_be_wrong_is_not_given(summary: dict[str, str], why: str) -> None:
    tally = Tally()
    made = Snapshot(
        snapshot_id=1, timestamp_ms=0, manifest_list="", summary=Summary(Operation.OVERWRITE, **summary), schema_id=0
    )
    _tell_all(tally, made)
    assert tally.read.rows is None
    assert tally.read.why.startswith(why)


def test_people_see_how_much_was_read() -> None:
    given = {"node": "raw", "name": "raw"}
    assert InputRead(**given).told == "raw"
    assert InputRead(**given, files=1, bytes=9, rows=1200).told == "raw (1 file, 1,200 rows)"
    assert InputRead(**given, snapshot=7, rows=1).told == "raw@7 (1 row)"
    assert InputRead(**given, files=3, rows_unknown="folders").told == "raw (3 files, rows not counted)"


def _head(catalog: SqlCatalog) -> int | None:
    return refs.head(catalog.load_table("n.t"), "main")
