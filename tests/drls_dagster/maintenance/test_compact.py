"""Compaction: the same rows in fewer files, whatever the columns, partitions and history of a table are."""

from __future__ import annotations

import datetime as dt
import math
import struct
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import IdentityTransform, parse_transform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.lakehouse import refs
from drls_dagster.maintenance import compact
from drls_dagster.maintenance.work import Cancelled, Keep
from lifecycle.domain.operations import CompactOptions, Progress
from tests.drls_dagster.maintenance.compacting import compacted, content, data_files, lake, live, needed, stored, work

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

EVERYTHING = Schema(
    NestedField(1, "whole", LongType()),
    NestedField(2, "small", IntegerType()),
    NestedField(3, "single", FloatType()),
    NestedField(4, "double", DoubleType()),
    NestedField(5, "money", DecimalType(9, 2)),
    NestedField(6, "large money", DecimalType(38, 10)),
    NestedField(7, "text", StringType()),
    NestedField(8, "bytes", BinaryType()),
    NestedField(9, "four", FixedType(4)),
    NestedField(10, "id", UUIDType()),
    NestedField(11, "yes", BooleanType()),
    NestedField(12, "day", DateType()),
    NestedField(13, "clock", TimeType()),
    NestedField(14, "wall", TimestampType()),
    NestedField(15, "instant", TimestamptzType()),
    NestedField(16, "list", ListType(17, DecimalType(18, 3), element_required=False)),
    NestedField(18, "map", MapType(19, StringType(), 20, DoubleType(), value_required=False)),
    NestedField(
        21, "in.side", StructType(NestedField(22, "a b", StringType()), NestedField(23, "n", TimestamptzType()))
    ),
)
SPECIAL: dict[str, list[Any]] = {
    "whole": [2**63 - 1, -(2**63), 0, None],
    "small": [2**31 - 1, -(2**31), 0, None],
    "single": [math.nan, -0.0, math.inf, None],
    "double": [math.nan, -0.0, 5e-324, None],
    "money": [Decimal("9999999.99"), Decimal("-0.01"), Decimal(0), None],
    "large money": [Decimal(10) ** 27, -Decimal("0.0000000001"), Decimal(0), None],
    "text": ["", "é\x00\U0001f600", "a" * 300, None],
    "bytes": [b"", b"\x00\xff", b"\x80" * 300, None],
    "four": [b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"abcd", None],
    "id": [b"\x00" * 16, b"\xff" * 16, b"0123456789abcdef", None],
    "yes": [True, False, True, None],
    "day": [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1970, 1, 1), None],
    "clock": [dt.time(0), dt.time(23, 59, 59, 999_999), dt.time(12), None],
    "wall": [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999), dt.datetime(1969, 12, 31), None],
    "instant": [
        dt.datetime(1900, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2999, 1, 1, 0, 0, 0, 1, tzinfo=dt.UTC),
        dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        None,
    ],
    "list": [[], [None, Decimal("1.500")], [Decimal("-999999999999999.999")], None],
    "map": [[], [("a", None)], [("nan", math.nan), ("zero", -0.0)], None],
    "in.side": [
        {"a b": None, "n": None},
        {"a b": "x", "n": dt.datetime(2000, 1, 1, tzinfo=dt.UTC)},
        {"a b": "", "n": None},
        None,
    ],
}
SMALL = pa.schema([("n", pa.int64()), ("x", pa.float64()), ("s", pa.string())])


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return lake(tmp_path)


def special(table: Table) -> pa.Table:
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    arrow = schema_to_pyarrow(table.schema())
    return pa.table([pa.array(SPECIAL[field.name], field.type) for field in arrow], schema=arrow)


def small(table: Table, start: int, count: int = 10) -> None:
    numbers = range(start, start + count)
    rows = {"n": list(numbers), "x": [float(-one) for one in numbers], "s": [f"s{one % 3}" for one in numbers]}
    table.append(pa.table(rows, schema=SMALL))


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("strategy", ["binpack", "sort", "zorder"])
def test_every_type_keeps_every_bit(catalog: Catalog, tmp_path: Path, version: str, strategy: str) -> None:
    table = catalog.create_table("ns.t", EVERYTHING, properties={"format-version": version})
    for _ in range(5):
        table.append(special(table))
    before = content(table)
    columns = {"binpack": (), "sort": ("double", "id"), "zorder": ("instant", "large money", "text")}[strategy]

    result, after = compacted(catalog, "ns.t", tmp_path, strategy=strategy, columns=columns)

    assert (result.rewritten_files, result.new_files, result.applied_deletes) == (5, 1, 0)
    assert content(after) == before
    [path] = data_files(after)
    assert bits(path, "double") == sorted(bits_of(SPECIAL["double"]) * 5)
    assert bits(path, "single", "f") == sorted(bits_of(SPECIAL["single"], "f") * 5)
    [file] = live(after)
    assert file.nan_value_counts == {3: 5, 4: 5}
    assert file.null_value_counts[1] == 5
    assert {1, 5, 6, 7, 12, 15} <= file.lower_bounds.keys()


def bits(path: Path, column: str, code: str = "d") -> list[bytes]:
    return sorted(bits_of(pq.read_table(path, columns=[column]).column(0).to_pylist(), code))


def bits_of(values: list[float | None], code: str = "d") -> list[bytes]:
    return [struct.pack(code, one) for one in values if one is not None]


def test_new_files_have_the_ids_and_names_that_iceberg_gives_their_columns(catalog: Catalog, tmp_path: Path) -> None:
    table = catalog.create_table("ns.t", EVERYTHING)
    for _ in range(5):
        table.append(special(table))
    [old, *_] = data_files(table)

    _, after = compacted(catalog, "ns.t", tmp_path)

    [new] = data_files(after)
    assert str(pq.ParquetFile(new).schema).splitlines()[1:] == str(pq.ParquetFile(old).schema).splitlines()[1:]


TRANSFORMS = [
    ("n", "identity"),
    ("s", "identity"),
    ("n", "bucket[3]"),
    ("n", "truncate[4]"),
    ("s", "truncate[1]"),
    ("at", "year"),
    ("at", "month"),
    ("at", "day"),
    ("at", "hour"),
    ("n", "void"),
]


@pytest.mark.parametrize(("column", "transform"), TRANSFORMS)
def test_rows_stay_in_their_partition_whatever_its_transform_is(
    catalog: Catalog, tmp_path: Path, column: str, transform: str
) -> None:
    schema = Schema(
        NestedField(1, "n", LongType()), NestedField(2, "s", StringType()), NestedField(3, "at", TimestampType())
    )
    source = schema.find_field(column)
    spec = PartitionSpec(PartitionField(source.field_id, 1000, parse_transform(transform), "p/a=r t"))
    table = catalog.create_table("ns.t", schema, partition_spec=spec)
    partitioned(table, schema, column, transform)
    before, partitions = content(table), partition_counts(table)

    result, after = compacted(catalog, "ns.t", tmp_path, min_files=2)

    assert content(after) == before
    assert partition_counts(after) == partitions
    assert result.new_files == len(partitions)
    assert len(data_files(after)) == len(partitions)


def partitioned(table: Table, schema: Schema, column: str, transform: str) -> None:
    """Three files for each partition, as a writer that knows the transform makes them."""
    from pyiceberg.io.pyarrow import parquet_file_to_data_file, schema_to_pyarrow
    from pyiceberg.typedef import Record

    arrow = schema_to_pyarrow(schema)
    apply = parse_transform(transform).transform(schema.find_field(column).field_type)
    moments = [dt.datetime(2020 + one, 1 + one, 1 + one, one) for one in range(4)]
    values: dict[Any, list[dict[str, Any]]] = {}
    for number in range(8):
        row = {"n": number % 5 - 1, "s": [None, "a/b", "..", "é x"][number % 4], "at": moments[number % 4]}
        given = row[column]
        if given is not None and column == "at":
            given = int((given - dt.datetime(1970, 1, 1)).total_seconds() * 1_000_000)
        values.setdefault(apply(given), []).append(row)
    root = table.location().removeprefix("file://")
    Path(root, "data").mkdir(parents=True, exist_ok=True)
    with table.transaction() as transaction, transaction.update_snapshot().fast_append() as appended:
        for at, (value, rows) in enumerate(values.items()):
            for copy in range(3):
                path = f"{root}/data/{at}-{copy}.parquet"
                pq.write_table(pa.Table.from_pylist(rows, schema=arrow), path)
                plain = table.metadata.model_copy(update={"partition_specs": [PartitionSpec()], "default_spec_id": 0})
                made = parquet_file_to_data_file(table.io, plain, f"file://{path}")
                made._data[3] = Record(value)
                made.spec_id = table.metadata.default_spec_id
                appended.append_data_file(made)


def partition_counts(table: Table) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in live(table):
        found[repr(one.partition)] = found.get(repr(one.partition), 0) + one.record_count
    return found


def test_files_from_before_a_change_of_the_schema_are_read_as_the_table_is_now(
    catalog: Catalog, tmp_path: Path
) -> None:
    schema = Schema(
        NestedField(1, "a", IntegerType()),
        NestedField(2, "b", StringType()),
        NestedField(3, "c", StructType(NestedField(4, "x", FloatType()))),
        NestedField(5, "gone", LongType()),
    )
    table = catalog.create_table("ns.t", schema)
    rows = pa.table(
        {
            "a": pa.array([1, None], pa.int32()),
            "b": ["x", None],
            "c": pa.array([{"x": 1.5}, None], pa.struct([("x", pa.float32())])),
            "gone": [1, 2],
        }
    )
    for _ in range(3):
        table.append(rows)
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.rename_column("b", "a then b")
        update.delete_column("gone")
        update.update_column("a", LongType())
        update.update_column(("c", "x"), DoubleType())
        update.add_column(("c", "y"), StringType())
        update.add_column("gone", StringType())
    with table.update_schema() as update:
        update.move_first("a then b")
    table = catalog.load_table("ns.t")
    expected = table.scan().to_arrow().to_pylist()

    _, after = compacted(catalog, "ns.t", tmp_path, min_files=2)

    [path] = data_files(after)
    assert pq.read_table(path).column_names == ["a_x20then_x20b", "a", "c", "gone"]
    assert sorted(after.scan().to_arrow().to_pylist(), key=repr) == sorted(expected, key=repr)
    assert {row["a"] for row in pq.read_table(path).to_pylist()} == {1, None}


def test_files_of_an_older_partition_spec_stay_in_it(catalog: Catalog, tmp_path: Path) -> None:
    table = catalog.create_table("ns.t", SMALL)
    for start in range(3):
        small(table, start * 10)
    with table.update_spec() as spec:
        spec.add_identity("s")
    table = catalog.load_table("ns.t")
    for start in range(3, 6):
        small(table, start * 10)
    before = content(table)

    result, after = compacted(catalog, "ns.t", tmp_path, min_files=2)

    assert content(after) == before
    specs = sorted(one.spec_id for one in live(after))
    assert specs == [0, 1, 1, 1]
    assert result.new_files == 4


def test_only_what_needs_it_is_rewritten(catalog: Catalog, tmp_path: Path) -> None:
    table = catalog.create_table("ns.t", SMALL)
    for start in range(4):
        small(table, start * 10)

    planned = compact.plan(table, "main", CompactOptions(), Keep())
    result, after = compacted(catalog, "ns.t", tmp_path)

    assert not planned.needed
    assert planned.figures["rewritten_files"] == 0
    assert (result.rewritten_files, result.snapshot) == (0, None)
    assert refs.head(after, "main") == refs.head(table, "main")

    again, after = compacted(catalog, "ns.t", tmp_path, min_files=4)
    assert again.rewritten_files == 4
    once_more, _ = compacted(catalog, "ns.t", tmp_path, min_files=1)
    assert once_more.rewritten_files == 0


def test_a_file_that_is_much_too_large_is_split(catalog: Catalog, tmp_path: Path) -> None:
    table = catalog.create_table("ns.t", SMALL, properties={"write.parquet.compression-codec": "uncompressed"})
    small(table, 0, 400_000)
    before = content(table)
    size = data_files(table)[0].stat().st_size

    result, after = compacted(catalog, "ns.t", tmp_path, target_bytes=size // 4)

    assert result.rewritten_files == 1
    assert 3 <= result.new_files <= 6
    assert content(after) == before


def test_a_filter_limits_what_is_rewritten_to_files_that_may_match(catalog: Catalog, tmp_path: Path) -> None:
    table = catalog.create_table("ns.t", SMALL)
    for start in range(10):
        small(table, start * 10)

    result, after = compacted(catalog, "ns.t", tmp_path, where="n >= 50", min_files=2)

    assert result.rewritten_files == 5
    assert len(data_files(after)) == 6


@pytest.mark.parametrize(
    "where", ["nothing = 1", "n >", "1=1; drop table t", "n = 'x'", "(" * 200, "n in (select 1)", "s = '\\'"]
)
def test_a_filter_that_is_no_condition_is_refused(catalog: Catalog, where: str) -> None:
    table = catalog.create_table("ns.t", SMALL)
    small(table, 0)

    with pytest.raises(UsageError, match="cannot be used"):
        compact.plan(table, "main", CompactOptions(where=where), Keep())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"strategy": "zorder", "columns": ("n",)}, "two or more"),
        ({"strategy": "zorder"}, "two or more"),
        ({"strategy": "sort"}, "no sort order"),
        ({"strategy": "sort", "columns": ("nope",)}, "no column 'nope'"),
        ({"strategy": "sort", "columns": ("n", "n")}, "named twice"),
        ({"columns": ("n",)}, "takes no columns"),
    ],
)
def test_columns_that_do_not_fit_are_refused(catalog: Catalog, options: dict[str, Any], reason: str) -> None:
    table = catalog.create_table("ns.t", SMALL)
    small(table, 0)

    with pytest.raises(UsageError, match=reason):
        compact.plan(table, "main", CompactOptions(**options), Keep())


def test_sorting_by_the_order_of_the_table_follows_directions_nulls_and_nan(catalog: Catalog, tmp_path: Path) -> None:
    order = SortOrder(
        SortField(2, IdentityTransform(), SortDirection.DESC, NullOrder.NULLS_LAST),
        SortField(1, IdentityTransform(), SortDirection.ASC, NullOrder.NULLS_FIRST),
    )
    schema = Schema(NestedField(1, "n", LongType()), NestedField(2, "x", DoubleType()))
    table = catalog.create_table("ns.t", schema, sort_order=order)
    rows = {"n": [1, None, 2, 3, 4], "x": [1.0, 1.0, math.nan, None, math.inf]}
    for _ in range(2):
        table.append(pa.table(rows, schema=pa.schema([("n", pa.int64()), ("x", pa.float64())])))

    result, after = compacted(catalog, "ns.t", tmp_path, strategy="sort")

    [path] = data_files(after)
    found = [(row["x"], row["n"]) for row in pq.read_table(path).to_pylist()]
    assert repr(found[::2]) == repr([(math.nan, 2), (math.inf, 4), (1.0, None), (1.0, 1), (None, 3)])
    assert live(after)[0].sort_order_id == table.sort_order().order_id
    assert compacted(catalog, "ns.t", tmp_path, strategy="sort")[0].rewritten_files == 0
    assert result.rewritten_files == 2


@pytest.mark.parametrize("strategy", ["sort", "zorder"])
def test_ordered_files_do_not_overlap(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    from drls_dagster.maintenance.compact import spreading

    monkeypatch.setattr(spreading, "_PART_BYTES", 100_000)
    monkeypatch.setattr(spreading, "_IN_MEMORY_BYTES", 0)
    table = catalog.create_table("ns.t", SMALL)
    for start in range(8):
        numbers = [(start + 8 * one) * 7919 % 40_000 for one in range(5_000)]
        rows = {"n": numbers, "x": [float(one * 31 % 997) for one in numbers], "s": [str(one) for one in numbers]}
        table.append(pa.table(rows, schema=SMALL))
    before = content(table)
    size = sum(one.stat().st_size for one in data_files(table))

    result, after = compacted(catalog, "ns.t", tmp_path, strategy=strategy, columns=("n", "x"), target_bytes=size // 16)

    assert content(after) == before
    assert result.new_files >= 12
    scan = after.scan(
        row_filter="n >= 1000 and n < 3000 and x >= 100 and x < 200" if strategy == "zorder" else "n < 2000"
    )
    assert len(list(scan.plan_files())) <= result.new_files // 5
    assert not list((tmp_path / "home").rglob("*.arrow"))


def test_a_branch_is_compacted_and_main_stays(catalog: Catalog, tmp_path: Path) -> None:
    table = catalog.create_table("ns.t", SMALL)
    small(table, 0)
    refs.create_branch(catalog, table, "side", refs.head(table, "main") or 0)
    for start in range(1, 6):
        catalog.load_table("ns.t").append(
            pa.table({"n": [start], "x": [0.5], "s": [None]}, schema=SMALL), branch="side"
        )
    table = catalog.load_table("ns.t")
    main, side = content(table), content(table, "side")

    result, after = compacted(catalog, "ns.t", tmp_path, ref="side")

    assert result.rewritten_files == 6
    assert (content(after), content(after, "side")) == (main, side)
    assert refs.head(after, "main") == refs.head(table, "main")
    assert refs.head(after, "side") == result.snapshot


def test_only_branches_that_exist_are_compacted(catalog: Catalog) -> None:
    table = catalog.create_table("ns.t", SMALL)
    empty = compact.plan(table, "main", CompactOptions(), Keep())
    small(table, 0)
    table.manage_snapshots().create_tag(refs.head(table, "main") or 0, "kept").commit()

    assert (empty.needed, empty.reasons) == (False, ("the table has no snapshot",))
    with pytest.raises(UsageError, match="no branch 'nowhere'"):
        compact.plan(table, "nowhere", CompactOptions(), Keep())
    with pytest.raises(UsageError, match=r"'kept' of ns\.t is a tag"):
        compact.plan(table, "kept", CompactOptions(), Keep())


def test_a_cancelled_compaction_leaves_nothing(catalog: Catalog, tmp_path: Path) -> None:
    table = catalog.create_table("ns.t", SMALL)
    for start in range(6):
        small(table, start * 10)
    before = stored(table)

    def told(_: Progress) -> None:
        raise Cancelled("somebody cancelled it")

    with pytest.raises(Cancelled):
        compact.execute(work(catalog, table, tmp_path, told=told), CompactOptions())

    assert stored(table) == before
    assert refs.head(catalog.load_table("ns.t"), "main") == refs.head(table, "main")


def test_a_file_that_lost_rows_is_not_compacted_away(catalog: Catalog, tmp_path: Path) -> None:
    table = catalog.create_table("ns.t", SMALL)
    for start in range(6):
        small(table, start * 10)
    [path, *_] = data_files(table)
    pq.write_table(pq.read_table(path).slice(1), path)

    with pytest.raises(DrlsError, match="60 rows became 59"):
        compacted(catalog, "ns.t", tmp_path)

    assert refs.head(catalog.load_table("ns.t"), "main") == refs.head(table, "main")
    assert stored(table) == needed(table)
