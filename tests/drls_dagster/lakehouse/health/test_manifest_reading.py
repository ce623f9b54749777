"""The fast reader finds in manifests what PyIceberg finds."""

from __future__ import annotations

import re
from copy import deepcopy
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.table import Table
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    Transform,
    TruncateTransform,
    YearTransform,
)
from pyiceberg.typedef import Record

from drls_dagster.lakehouse.avro_rows import rows
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.health import files
from tests.drls_dagster.lakehouse.health.metadata import add_deletes, make_files
from tests.iceberg_tables import make_table

ROWS = pa.table(
    {
        "id": pa.array(range(50), pa.int64()),
        "at": pa.array([datetime(2024, 1 + n % 12, 1 + n % 28, n % 24) for n in range(50)], pa.timestamp("us", "UTC")),
        "day": pa.array([date(2024, 1, 1 + n % 28) for n in range(50)]),
        "name": [None if n % 7 == 0 else f"name {n}" * 5 for n in range(50)],
        "raw": pa.array([bytes([n]) * 20 for n in range(50)], pa.binary()),
        "price": [Decimal(n) / 100 for n in range(50)],
        "rate": [float("nan") if n % 9 == 0 else -0.0 for n in range(50)],
        "tags": [["a", "b"] for _ in range(50)],
        "place": [{"city": "x", "at": {"lat": 1.0}} for _ in range(50)],
        "flag": [n % 2 == 0 for n in range(50)],
    }
)
# The column's id, the transform, and partition values as manifests have them.
TRANSFORMS: dict[str, tuple[int, Transform[Any, Any], list[Any]]] = {
    "identity": (4, IdentityTransform(), ["a", "b", None]), "bucket": (1, BucketTransform(4), [0, 3]),
    "truncate": (4, TruncateTransform(2), ["na", None]), "year": (2, YearTransform(), [54, -3]),
    "month": (2, MonthTransform(), [648, 649]), "day": (3, DayTransform(), [19_723, 19_724]),
    "hour": (2, HourTransform(), [473_352, 473_353]), "raw": (5, IdentityTransform(), [b"\x00", b"\xff"]),
    "decimal": (6, IdentityTransform(), [Decimal("-1.50"), Decimal("0.49")]), "flag": (10, IdentityTransform(), [True, False]),
    "double": (7, IdentityTransform(), [-0.0, 1.5]),
}  # fmt: skip


def both(table: Table, column: int = 1) -> tuple[list[object], list[object]]:
    """Data files as the fast reader and as PyIceberg know them, in order."""
    snapshot = table.current_snapshot()
    assert snapshot is not None
    files.forget()
    found = files.manifests(table.io, snapshot, column)
    ours = [(one.rows, one.bytes, one.low, one.high) for one in files.data_files(found)]
    theirs: list[object] = []
    for manifest in snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io):
            one = entry.data_file
            low, high = (of.get(column) for of in (one.lower_bounds or {}, one.upper_bounds or {}))
            theirs.append((one.record_count, one.file_size_in_bytes, low, high))
    partitions = {one.partition for one in files.data_files(found)}
    assert len(partitions) == len({repr(task.file.partition) for task in table.scan().plan_files()})
    return ours, theirs


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_every_partition_transform(transform: str) -> None:
    plain = make_table("lab.plain", ROWS)
    source, how, values = TRANSFORMS[transform]
    spec = PartitionSpec(PartitionField(source, 1000, how, "part"))
    table = make_table("lab.t", ROWS.slice(0, 0), schema=plain.schema(), partition_spec=spec)
    (real,) = (one.file for one in plain.scan().plan_files())
    with table.transaction() as change, change.update_snapshot().fast_append() as append:
        for number, value in enumerate([*values, values[0]]):
            one = deepcopy(real)
            one._data[1], one._data[3], one._data[5] = (
                f"{table.location()}/data/{number}.parquet",
                Record(value),
                number,
            )
            append.append_data_file(one)
    ours, theirs = both(load_catalog().load_table("lab.t"))
    assert ours == theirs
    assert len(ours) == len(values) + 1


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("codec", ["gzip", "zstd", "null"])
def test_both_versions_of_the_format_and_codecs(version: str, codec: str) -> None:
    properties = {"format-version": version, "write.avro.compression-codec": codec}
    table = make_table("lab.t", ROWS, ROWS, properties=properties)
    table.delete("id < 10")
    ours, theirs = both(table)
    assert ours == theirs


def test_what_was_deleted_does_not_count_and_deletes_are_found() -> None:
    table = make_files("lab.t", range(1, 40), per_manifest=7)
    add_deletes(table, 3, 5)
    table.refresh()
    snapshot = table.current_snapshot()
    assert snapshot is not None
    found = files.manifests(table.io, snapshot, None)
    assert sorted(one.bytes for one in files.data_files(found)) == list(range(1, 40))
    assert files.delete_files(found) == [files.DeleteFile(5, 100, False)] * 3
    every = [e for m in snapshot.manifests(table.io) for e in m.fetch_manifest_entry(table.io, discard_deleted=False)]
    assert len(every) >= len(files.data_files(found)) + 3
    assert all(e.status in ManifestEntryStatus for e in every)


@pytest.mark.parametrize("damage", ["cut", "magic", "sync", "empty"])
def test_a_damaged_manifest_is_an_error(damage: str) -> None:
    data = _a_manifest()
    damaged = {"cut": data[:-40], "magic": b"X" + data[1:], "sync": data[:-3] + b"xyz", "empty": b""}[damage]
    with pytest.raises(ValueError, match=r"Avro|unpacked|block|middle"):
        list(rows(damaged, ("0",)))


def test_a_manifest_that_is_cut_off_anywhere_is_an_error() -> None:
    data = _a_manifest()
    fields = ("0", "2.100", "2.104")
    assert len(list(rows(data, fields))) == 39
    between_blocks = {one.end() for one in re.finditer(re.escape(data[-16:]), data)}
    for length in set(range(len(data))) - between_blocks:
        with pytest.raises(ValueError, match=r"Avro|middle|block"):
            list(rows(data[:length], fields))


def _a_manifest() -> bytes:
    table = make_files("lab.t", range(1, 40))
    snapshot = table.current_snapshot()
    assert snapshot is not None
    with table.io.new_input(snapshot.manifests(table.io)[0].manifest_path).open() as file:
        return file.read()
