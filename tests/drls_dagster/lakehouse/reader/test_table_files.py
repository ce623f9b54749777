"""The files of a table: sizes, partitions by their values, delete files, and pages."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from drls_dagster.lakehouse.reader import IcebergTables
from lifecycle.domain.table_files import FileOrder, FilesAsked
from lifecycle.domain.tables import Point, TableAt
from lifecycle.errors import NotFound
from tests.iceberg_tables import make_table

LAB = TableAt(name="lab.files")


def test_sizes_and_files_come_in_their_order_and_in_pages(tables: IcebergTables) -> None:
    table = make_table("lab.files", {"x": [1]}, {"x": list(range(50_000))}, {"x": [3, 4]})
    found = tables.files(LAB, Point(), FilesAsked(most=2))
    assert (found.data_file_count, found.delete_file_count, found.rows) == (3, 0, 50_003)
    assert found.snapshot == table.metadata.current_snapshot_id
    assert sum(one.data_file_count for one in found.sizes) == 3
    assert all(one.at_least < (one.below or 2**60) for one in found.sizes)
    assert sum(one.bytes for one in found.sizes) == found.bytes
    assert (found.files[0].rows, found.files[0].content, found.files[0].format) == (50_000, "data", "parquet")
    rest = tables.files(LAB, Point(), FilesAsked(after=found.next or 0, most=2))
    assert (len(rest.files), rest.next) == (1, None)
    assert len({one.path for one in (*found.files, *rest.files)}) == 3
    smallest = tables.files(LAB, Point(), FilesAsked(order=FileOrder.SMALLEST)).files
    assert [one.rows for one in smallest] == [1, 2, 50_000]
    paths = [one.path for one in tables.files(LAB, Point(), FilesAsked(order=FileOrder.PATH)).files]
    assert paths == sorted(paths)
    first = table.metadata.snapshots[0].snapshot_id
    assert tables.files(LAB, Point(snapshot=first), FilesAsked()).data_file_count == 1
    with pytest.raises(NotFound, match="has no ref"):
        tables.files(LAB, Point(ref="nope"), FilesAsked())


def test_partitions_are_named_by_what_they_hold_largest_first(tables: IcebergTables) -> None:
    days = [date(2026, 1, 1), date(2026, 1, 2), None]
    rows = pa.table({"day": days * 4, "who": ["a", None, "b", "a"] * 3, "x": list(range(12))})
    table = make_table("lab.files", rows)
    with table.update_spec() as change:
        change.add_identity("day")
        change.add_field("who", "identity", "person")
    table.append(rows)
    found = tables.files(LAB, Point(), FilesAsked())
    named = {tuple(one.partition.items()) for one in found.partitions}
    assert (("day", "2026-01-01"), ("person", "a")) in named
    assert (("day", "2026-01-02"), ("person", None)) in named
    assert (("day", None), ("person", "b")) in named
    assert () in named
    assert found.partitions_total == len(found.partitions) == len(named)
    assert [one.bytes for one in found.partitions] == sorted((one.bytes for one in found.partitions), reverse=True)
    assert sum(one.rows for one in found.partitions) == found.rows == 24
    assert tables.files(LAB, Point(), FilesAsked(partitions=1)).partitions == found.partitions[:1]


def test_a_table_without_rows_has_no_files(tables: IcebergTables) -> None:
    make_table("lab.files", pa.table({"x": pa.array([], pa.int64())}))
    found = tables.files(LAB, Point(), FilesAsked())
    assert (found.snapshot, found.files, found.sizes, found.partitions_total) == (None, (), (), 0)
