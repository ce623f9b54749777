"""The change feed: replaying it gives the table, and each row that really changed is in it once. Real files, no engine."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.table import Table
from pyiceberg.types import LongType, StringType

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.changes import ChangesUnreadable, change_feed, read_changes
from tests.data_plane.diffing import ROWS, SCHEMA
from tests.data_plane.histories import History, Row, counted
from tests.data_plane.position_deletes import delete_rows
from tests.iceberg_tables import make_table

COLUMNS = SCHEMA.names
COMES, GOES = {"insert", "update_after"}, {"delete", "update_before"}


def feed(table: Table, start: int | None = None, end: int | None = None, **options: Any) -> list[Row]:
    return read_changes(table.refresh(), start, end, **options).read_all().to_pylist()


def replayed(rows: Sequence[Row], changes: Sequence[Row], columns: Sequence[str] = COLUMNS) -> Counter[Hashable]:
    """The rows after the changes, applied in order; a row that goes must be there."""
    state = counted(rows, columns)
    for change in changes:
        (one,) = counted([change], columns)
        state[one] += 1 if change["_change_type"] in COMES else -1
        assert state[one] >= 0, change
    return +state


def told(changes: Sequence[Row]) -> list[Row]:
    """Without what depends on where reading began."""
    return [{name: str(value) for name, value in row.items() if name != "_snapshot_ordinal"} for row in changes]


STEP = st.one_of(
    st.tuples(st.just("append"), ROWS.filter(bool)),
    st.tuples(st.just("append to branch"), ROWS.filter(bool)),
    st.tuples(st.just("delete"), st.none() | st.integers(0, 6)),
    st.tuples(st.just("update"), st.integers(0, 6)),
    st.tuples(st.just("compact"), st.none()),
    st.tuples(st.just("branch"), st.none()),
    st.tuples(st.just("roll back"), st.integers(1, 3)),
)


def play(history: History, steps: Sequence[tuple[str, Any]]) -> None:
    for what, given_ in steps:
        ref = "side" if what == "append to branch" else "main"
        if what.startswith("append") and (ref == "main" or history.head(ref) is not None):
            history.append(given_, ref)
        elif history.head() is None:
            continue
        elif what == "delete":
            history.delete("id", given_)
        elif what == "update":
            history.rewrite(lambda row, key=given_: {**row, "part": "updated"} if row["id"] == key else row)
        elif what == "compact":
            history.compact()
        elif what == "branch" and history.head("side") is None:
            history.branch("side")
        elif what == "roll back":
            history.roll_back(given_)


def check_history(history: History, *, every_pair: bool) -> None:
    """From snapshot to snapshot: replaying gives the rows, and reading in two parts gives the same."""
    table, states = history.table.refresh(), history.states
    ends = list(history.parents)
    for start, rows in states.items():
        for end in ends if every_pair else ends[-1:]:
            if start != end:
                assert replayed(rows, feed(table, start, end)) == counted(states[end], COLUMNS)
    for head in ends if every_pair else ends[-1:]:
        whole = feed(table, None, head)
        for middle in (one.snapshot_id for one in refs.ancestors(table, head)):
            parts = [*feed(table, None, middle), *feed(table, middle, head)]
            assert told(parts) == told(whole)
    for head, before in history.parents.items():
        _check_step(history, before, head)


def _check_step(history: History, before: int | None, head: int) -> None:
    """What one change of the history brings: exactly the rows that differ, and with keys pairs of them."""
    old, new = (counted(history.states[one], COLUMNS) for one in (before, head))
    operations = {one.snapshot_id: one.summary and one.summary.operation.value for one in history.table.snapshots()}
    for keys in ((), ("id",)):
        changes = feed(history.table, before, head, keys=keys)
        goes = counted([one for one in changes if one["_change_type"] in GOES], COLUMNS)
        comes = counted([one for one in changes if one["_change_type"] in COMES], COLUMNS)
        assert goes == old - new
        assert comes == new - old
        kinds = {side: Counter(one["id"] for one in changes if one["_change_type"] == side) for side in (*COMES, *GOES)}
        if not keys:
            assert not kinds["update_before"]
            assert not kinds["update_after"]
        elif operations[head] == "overwrite":
            assert kinds["update_before"] == kinds["update_after"]
            assert not kinds["delete"] & kinds["insert"]
        assert operations[head] != "replace" or not changes


@settings(max_examples=5)
@given(steps=st.lists(STEP, min_size=2, max_size=4))
def test_replaying_a_history_gives_its_end(tmp_path_factory: pytest.TempPathFactory, steps: Any) -> None:
    history = History(_catalog(tmp_path_factory.mktemp("lake")), SCHEMA)
    play(history, steps)
    check_history(history, every_pair=False)


@pytest.mark.slow
@settings(max_examples=15)
@given(steps=st.lists(STEP, min_size=3, max_size=7), partitioned=st.booleans())
def test_replaying_any_history_gives_every_snapshot_from_every_other(
    tmp_path_factory: pytest.TempPathFactory, steps: Any, partitioned: bool
) -> None:
    history = History(_catalog(tmp_path_factory.mktemp("lake")), SCHEMA)
    if partitioned:
        with history.table.update_spec() as change:
            change.add_identity("part")
    play(history, steps)
    check_history(history, every_pair=True)


def _catalog(folder: Path) -> Any:
    from pyiceberg.catalog.sql import SqlCatalog

    return SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")


def test_rows_that_position_deletes_hide_are_deleted_once(drls_home: Path) -> None:
    table = make_table("lab.t", {"id": list(range(10))})
    first = table.current_snapshot()
    delete_rows(load_catalog(), table, [3, 4])
    second = table.current_snapshot()
    delete_rows(load_catalog(), table, [4, 9])  # 4 is hidden already
    assert first
    assert second
    changes = feed(table)
    gone = [(one["id"], one["_snapshot_id"]) for one in changes if one["_change_type"] == "delete"]
    third = refs.head(table, "main")
    assert gone == [(3, second.snapshot_id), (4, second.snapshot_id), (9, third)]
    # Rolled back, they come again.
    back = feed(table, third, first.snapshot_id)
    assert sorted(one["id"] for one in back if one["_change_type"] == "insert") == [3, 4, 9]
    # A rewrite of the file brings none of them back, and none of the others is a change.
    table.overwrite(pa.table({"id": [0, 1, 2, 5, 6, 7, 8]}))
    assert replayed([], feed(table), ["id"]) == counted([{"id": one} for one in (0, 1, 2, 5, 6, 7, 8)], ["id"])


def test_an_update_has_the_row_before_and_after(drls_home: Path) -> None:
    history = History(load_catalog(), pa.schema([("id", pa.int64()), ("v", pa.float64())]))
    history.catalog.create_namespace_if_not_exists("lab")
    history.append([{"id": 1, "v": 0.0}, {"id": 2, "v": float("nan")}, {"id": None, "v": 3.0}])
    start = history.head()
    history.rewrite(lambda row: {**row, "v": {1: -0.0, None: 4.0}.get(row["id"], row["v"])})
    shown = [(one["_change_type"], one["id"], str(one["v"])) for one in feed(history.table, start, keys=["id"])]
    assert sorted(shown, key=str) == [
        ("update_after", 1, "-0.0"),
        ("update_after", None, "4.0"),
        ("update_before", 1, "0.0"),
        ("update_before", None, "3.0"),
    ]
    assert {one["_change_type"] for one in feed(history.table, start)} == {"insert", "delete"}


def test_rows_before_and_after_an_evolution_have_the_newest_columns(drls_home: Path) -> None:
    table = make_table("lab.t", pa.table({"id": pa.array([1, 2], pa.int32()), "old": ["a", "b"], "gone": ["x", "y"]}))
    with table.update_schema() as change:
        change.rename_column("old", "new")
        change.update_column("id", LongType())
        change.delete_column("gone")
        change.add_column("more", StringType())
    table.append(pa.table({"id": [3], "new": ["c"], "more": ["m"]}))
    rows = feed(table)
    assert [(row["id"], row["new"], row["more"]) for row in rows] == [(1, "a", None), (2, "b", None), (3, "c", "m")]
    assert read_changes(table).schema.field("id").type == pa.int64()


def test_values_arrive_bit_by_bit(drls_home: Path) -> None:
    schema = pa.schema(
        [
            ("big", pa.decimal128(38, 9)),
            ("zoned", pa.timestamp("us", "UTC")),
            ("plain", pa.timestamp("us")),
            ("raw", pa.binary()),
            ("fixed", pa.binary(4)),
            ("clock", pa.time64("us")),
            ("small", pa.float32()),
            ("deep", pa.list_(pa.struct([("x", pa.float64()), ("m", pa.map_(pa.string(), pa.decimal128(9, 2)))]))),
        ]
    )
    row = {
        "big": Decimal("12345678901234567890123456789.123456789"),
        "zoned": datetime(1969, 7, 20, 20, 17, 40, 1, UTC),
        "plain": datetime(9999, 12, 31, 23, 59, 59, 999999),
        "raw": b"\x00\\x00\xff",
        "fixed": b"\x00\x01\x02\xff",
        "clock": datetime(2026, 1, 1, 23, 59, 59, 999999).time(),
        "small": -0.0,
        "deep": [{"x": -0.0, "m": [("k", Decimal("-0.01"))]}, None],
    }
    history = History(load_catalog(), schema)
    history.append([row, row, dict.fromkeys(schema.names)])
    start = history.head()
    other = {**row, "deep": [{"x": 0.0, "m": [("k", Decimal("-0.01"))]}, None]}
    changed: list[Row] = [other, row, dict.fromkeys(schema.names)]
    history.rewrite(lambda _: changed.pop(0))
    changes = feed(history.table, start)
    assert counted([one for one in changes if one["_change_type"] == "delete"], schema.names) == counted(
        [row], schema.names
    )
    assert counted([one for one in changes if one["_change_type"] == "insert"], schema.names) == counted(
        [other], schema.names
    )


def test_expired_snapshots_are_an_error_that_names_the_remedy(drls_home: Path) -> None:
    table = make_table("lab.t", *({"id": [one]} for one in range(4)))
    first, second, third, last = (one.snapshot_id for one in table.snapshots())
    table.maintenance.expire_snapshots().by_ids([first, second]).commit()
    table.refresh()
    with pytest.raises(ChangesUnreadable, match=f"oldest that is left.*{third}|{third}.*the oldest that is left"):
        read_changes(table, second)
    with pytest.raises(ChangesUnreadable, match=f"in full at snapshot {third}"):
        read_changes(table)
    assert [one["id"] for one in feed(table, third)] == [3]
    assert not feed(table, last)


def test_bad_names_are_refused_in_a_line(drls_home: Path) -> None:
    table = make_table("lab.t", {"id": [1], "tags": [["a"]], "_change_type": ["x"]})
    for options, said in (
        ({"keys": ["nope"], "columns": ["id"]}, "no column 'nope'"),
        ({"columns": ["id", "x y"]}, "no column 'x y'"),
        ({"keys": ["tags"], "columns": ["id"]}, "which is no key"),
        ({}, "has a column '_change_type'"),
        ({"ref": "none"}, "no ref 'none'"),
        ({"columns": ["id"], "batch_bytes": 0}, "at least 1"),
    ):
        with pytest.raises(UsageError, match=said):
            read_changes(table, **options)
    with pytest.raises(ChangesUnreadable, match="no snapshot 5"):
        read_changes(table, 5, columns=["id"])
    assert [one["id"] for one in feed(table, columns=["id"])] == [1]


def test_an_update_of_other_columns_is_no_change(drls_home: Path) -> None:
    history = History(load_catalog(), pa.schema([("id", pa.int64()), ("v", pa.int64())]))
    history.append([{"id": 1, "v": 1}, {"id": 2, "v": 2}])
    start = history.head()
    history.rewrite(lambda row: {**row, "v": 9})
    assert not feed(history.table, start, columns=["id"])
    assert len(feed(history.table, start, columns=["v"])) == 4


def test_pieces_are_small_and_memory_is_bounded(drls_home: Path) -> None:
    rows = 60_000
    table = make_table("lab.t", {"id": list(range(rows)), "text": ["some text that is the same"] * rows})
    sizes = [batch.num_rows for batch in read_changes(table, batch_bytes=100_000)]
    assert sum(sizes) == rows
    assert max(sizes) < 5_000
    history = History(load_catalog(), table.schema().as_arrow())
    history.table = table
    history.states[history.head()] = table.scan().to_arrow().to_pylist()
    start = history.head()
    history.rewrite(lambda row: {**row, "text": "other"} if row["id"] % 1000 == 0 else row)
    assert len(feed(table, start, keys=["id"], memory="64MB")) == 2 * rows // 1000


def test_appends_meanwhile_are_for_the_next_reader(drls_home: Path) -> None:
    table = make_table("lab.t", {"id": [0]})
    at: int | None = None
    seen: list[int] = []

    def write() -> None:
        mine = load_catalog().load_table("lab.t")
        for one in range(1, 12):
            mine.append(pa.table({"id": [one]}))

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive() or at != refs.head(table.refresh(), "main"):
        found = change_feed(table.refresh(), at)
        seen += [row["id"] for row in found.reader().read_all().to_pylist()]
        at = found.end
    writer.join()
    assert seen == list(range(12))
