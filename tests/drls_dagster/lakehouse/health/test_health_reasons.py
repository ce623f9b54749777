"""Each reason for a lower score, on a table that has it; and thresholds from settings and from the table."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import LongType, NestedField

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.health.looking import look
from drls_dagster.maintenance_settings import HealthSettings, MaintenanceSettings
from lifecycle.domain.table_health import BEST, HEALTHY, POINTS, HealthKind, HealthReason, HealthReport, points_of
from tests.drls_dagster.lakehouse.health.metadata import MB, add_deletes, batches, make_files
from tests.iceberg_tables import make_many_snapshots, make_table

DEFAULT = MaintenanceSettings()
TARGET = {"write.target-file-size-bytes": str(100 * MB)}


def report(table: Table | str, settings: MaintenanceSettings = DEFAULT) -> HealthReport:
    fresh = load_catalog().load_table(table.name() if isinstance(table, Table) else table)
    return look(".".join(fresh.name()), fresh, "main", settings)


def reason(found: HealthReport, kind: HealthKind) -> HealthReason:
    return next(one for one in found.measures if one.kind is kind)


def test_small_files_cost_what_compaction_would_save() -> None:
    found = report(make_files("lab.t", [100 * MB] * 20 + [MB] * 100, properties=TARGET))
    small = reason(found, HealthKind.SMALL_FILES)
    assert (found.small_file_count, found.data_file_count, small.number, small.threshold) == (100, 120, 99, 6)
    assert small.text == "100 of 120 data files are small; compaction would save 99"
    assert (small.points, found.score, found.reasons) == (POINTS[HealthKind.SMALL_FILES], 50, (small,))
    assert found.recommendation == "Compact it: 120 data files could be 21"
    assert found.cost is not None
    assert (found.cost.extra_files, found.cost.scan_overhead > 10) == (99, True)


def test_small_files_of_many_partitions_that_are_one_file_each_cost_nothing() -> None:
    schema = Schema(NestedField(1, "k", LongType()), NestedField(2, "x", LongType()))
    spec = PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "k"))
    make_table("lab.t", {"k": list(range(40)), "x": [1] * 40}, schema=schema, partition_spec=spec)
    found = report("lab.t")
    assert (found.small_file_count, found.score, found.recommendation) == (40, BEST, HEALTHY)
    assert found.cost is not None
    assert found.cost.extra_files == 0


def test_one_file_that_is_far_larger_than_the_others_is_skew() -> None:
    found = report(make_files("lab.t", [100 * MB] * 9 + [4_000 * MB], properties=TARGET))
    skew = reason(found, HealthKind.SIZE_SKEW)
    assert (skew.number, skew.points > 0) == (40, True)
    assert found.recommendation == "the largest data file is 40 times a usual one"


def test_one_partition_that_is_far_larger_than_the_others_is_skew() -> None:
    schema = Schema(NestedField(1, "k", LongType()), NestedField(2, "x", LongType()))
    spec = PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "k"))
    large = {"k": [0] * 40_000, "x": range(40_000)}
    make_table("lab.t", large, {"k": [1, 2, 3], "x": [1, 2, 3]}, schema=schema, partition_spec=spec)
    skew = reason(report("lab.t"), HealthKind.PARTITION_SKEW)
    assert skew.points > 0
    assert "of 4 partitions" in skew.text


@pytest.mark.parametrize("by_equality", [False, True])
def test_delete_files_cost_points_and_position_deletes_say_how_many_rows(by_equality: bool) -> None:
    table = make_files("lab.t", [100 * MB] * 10, properties=TARGET)
    add_deletes(table, 4, 25 * MB, by_equality=by_equality)
    found = report(table)
    files, rows = reason(found, HealthKind.DELETE_FILES), reason(found, HealthKind.DELETED_ROWS)
    assert (found.delete_file_count, files.number, files.points > 0) == (4, 4, True)
    assert ("4 of them by equality" in files.text) is by_equality
    assert (rows.number, rows.points > 0) == ((0, False) if by_equality else (10, True))
    assert found.recommendation == "Compact it to apply 4 delete files"
    assert found.data_file_count == 10


def test_snapshots_cost_points_except_those_that_tags_hold_or_that_expiry_would_keep() -> None:
    make_many_snapshots("lab.t", 130)
    found = report("lab.t")
    assert (reason(found, HealthKind.SNAPSHOTS).number, found.snapshot_count) == (130, 130)
    assert found.recommendation == "Expire snapshots: it keeps 130"
    table = load_catalog().load_table("lab.t")
    with table.manage_snapshots() as change:
        for number, one in enumerate(table.metadata.snapshots[:20]):
            change.create_tag(one.snapshot_id, f"t{number}")
    assert reason(report("lab.t"), HealthKind.SNAPSHOTS).number == 110
    make_many_snapshots("lab.kept", 130)
    kept = load_catalog().load_table("lab.kept")
    kept.transaction().set_properties({"history.expire.min-snapshots-to-keep": "200"}).commit_transaction()
    assert report("lab.kept").score == BEST


def test_manifests_and_a_large_metadata_file_cost_points() -> None:
    found = report(make_files("lab.t", [100 * MB] * 34, per_manifest=1, properties=TARGET))
    many = reason(found, HealthKind.MANIFESTS)
    assert (found.manifest_count >= 34, many.points > 0) == (True, True)
    assert f"Rewrite its {found.manifest_count:,} manifests" in found.recommendation
    assert found.manifest_bytes == reason(found, HealthKind.MANIFEST_BYTES).number > 10_000
    table = load_catalog().load_table("lab.t")
    table.transaction().set_properties({"comment": "x" * 1_200_000}).commit_transaction()
    large = reason(report("lab.t"), HealthKind.METADATA_BYTES)
    assert (large.number > 1_200_000, large.points) == (True, 2)


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.int32(), pa.float64(), pa.decimal128(22, 2), pa.string(), pa.date32(), pa.timestamp("us")]
)
def test_files_that_overlap_in_the_sort_column_are_drift(kind: pa.DataType) -> None:
    if kind == pa.string():
        apart = [pa.table({"x": [f"{n:03}a", f"{n:03}b"]}) for n in range(8)]
        mixed = [pa.table({"x": [f"00{n}", f"99{n}"]}) for n in range(8)]
    else:
        source = pa.int32() if kind == pa.date32() else kind
        apart = batches(((n * 10 - 40, n * 10 - 31) for n in range(8)), source)
        mixed = batches(((n - 90, 90 + n) for n in range(8)), source)
        apart, mixed = ([pa.table({"x": one["x"].cast(kind)}) for one in some] for some in (apart, mixed))
    order = SortOrder(SortField(1, IdentityTransform()))
    schema = make_table("lab.schema", apart[0]).schema()
    make_table("lab.apart", *apart, schema=schema, sort_order=order)
    make_table("lab.mixed", *mixed, schema=schema, sort_order=order)
    ordered, drifted = (reason(report(name), HealthKind.SORT_DRIFT) for name in ("lab.apart", "lab.mixed"))
    assert (ordered.number, ordered.points) == (1, 0)
    assert (drifted.number, drifted.points > 0) == (8, True)
    assert "sort it by x again" in report("lab.mixed").recommendation
    assert all(one.kind is not HealthKind.SORT_DRIFT for one in report("lab.schema").measures)


def test_what_old_snapshots_hold_is_said_in_bytes_and_money() -> None:
    table = make_files("lab.t", [400_000 * MB] * 10, properties={"write.target-file-size-bytes": str(400_000 * MB)})
    table.delete("x >= 0")
    table.append(pa.table({"x": [1]}))
    cost = report(table, MaintenanceSettings(storage_price=0.02, currency="EUR")).cost
    assert cost is not None
    assert cost.history_bytes == pytest.approx(4_000_000 * MB, rel=0.01)
    assert (cost.history_price, cost.currency) == (80, "EUR")
    assert cost.storage_price == pytest.approx(80, abs=0.1)


def test_orphans_are_counted_on_request_when_they_are_old_enough() -> None:
    table = make_table("lab.t", {"x": [1]}, {"x": [2]})
    table.delete("x == 1")
    folder = Path(table.location().removeprefix("file://")) / "data"
    for number in range(12):
        (folder / f"lost-{number}.parquet").write_bytes(b"x" * 10)
    (folder / "_marker").write_bytes(b"x")
    assert all(one.kind is not HealthKind.ORPHANS for one in report("lab.t").measures)
    fresh = load_catalog().load_table("lab.t")
    assert reason(look("lab.t", fresh, "main", DEFAULT, count_orphans=True), HealthKind.ORPHANS).number == 0
    for file in (*folder.iterdir(), *(folder.parent / "metadata").iterdir()):
        os.utime(file, (0, 0))
    found = look("lab.t", fresh, "main", DEFAULT, count_orphans=True)
    counted = reason(found, HealthKind.ORPHANS)
    assert (counted.number, counted.points, counted.text) == (
        12, 1, "12 files of 120 bytes that no snapshot needs, older than 3 days"
    )  # fmt: skip
    assert found.recommendation == "Remove 12 orphaned files"


def test_settings_say_the_thresholds_and_the_tables_own_properties_win() -> None:
    table = make_table("lab.t", *[{"x": [number]} for number in range(8)])
    strict = MaintenanceSettings(health=HealthSettings(snapshots=8, small_files=1000))
    found = report(table, strict)
    assert [(one.kind, one.threshold) for one in found.reasons] == [(HealthKind.SNAPSHOTS, 8)]
    own = {"drls.maintenance.health.snapshots": "9", "drls.maintenance.health.small_files": "7"}
    table.transaction().set_properties(own).commit_transaction()
    assert [(one.kind, one.threshold) for one in report(table, strict).reasons] == [(HealthKind.SMALL_FILES, 7)]
    for nonsense in ("0", "-3", "many", "nan", "inf", ""):
        table.transaction().set_properties({"drls.maintenance.health.snapshots": nonsense}).commit_transaction()
        assert reason(report(table, strict), HealthKind.SNAPSHOTS).threshold == 8


def test_a_number_costs_one_point_at_its_threshold_and_all_at_ten_times_it() -> None:
    for kind, most in POINTS.items():
        costs = [points_of(kind, number, 100) for number in (0, 99.9, 100, 300, 999, 1000, 1e9)]
        assert costs[:3] == [0, 0, 1]
        assert 1 <= costs[3] <= costs[4] <= most
        assert costs[5:] == [most, most]


def test_a_score_is_never_below_nothing() -> None:
    table = make_files("lab.t", [MB] * 200, properties=TARGET)
    add_deletes(table, 60, 10 * MB)
    low = HealthSettings(**dict.fromkeys((kind.value for kind in HealthKind), 1e-9))
    found = report(table, MaintenanceSettings(health=low))
    assert found.score == 0
    assert json.loads(found.model_dump_json())["reasons"][0]["kind"] == "small_files"
    assert [one.points for one in found.reasons] == sorted((one.points for one in found.reasons), reverse=True)
