"""What a data diff does with too much, too long and broken data."""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from drls_dagster.lakehouse.data_plane import CannotCompare
from lifecycle.domain.data_diff import DiffLimits, DiffStep, Progress, Side
from lifecycle.domain.environment import Environment
from lifecycle.errors import LifecycleError, Refused
from tests.data_plane.diffing import append, compare, head, make, name, promised
from tests.fakes.lake import LakePlane


def test_above_the_limit_the_same_keys_are_picked_on_both_sides_and_it_says_so(lake: LakePlane) -> None:
    schema = pa.schema([("id", pa.int64()), ("note", pa.string())])
    table = make(lake, schema)
    base = append(table, [{"id": n, "note": "x"} for n in range(20_000)], schema)
    rows = [{"id": n, "note": "y" if n % 10 == 0 else "x"} for n in range(1_000, 21_000)]
    table.overwrite(pa.Table.from_pylist(rows, schema))
    diff = compare(lake, name(table), base, head(table), ("id",), rows=4_000)
    assert diff.fraction == pytest.approx(0.2)
    assert (diff.before.rows, diff.after.rows) == (20_000, 20_000), "the totals are no estimates"
    assert diff.changed is not None
    for found, true in ((diff.added, 1_000), (diff.removed, 1_000), (diff.changed, 1_900)):
        assert diff.estimated(found) == pytest.approx(true, rel=0.25)
    assert diff.columns[1].changed == diff.changed, "rows of one key meet, or all of them would be added and removed"
    assert diff.reason.startswith(
        "20 % of the rows, the same by key on both sides, because the files that differ contain"
    )
    assert diff.statistics_note == "of a sample of about 20 % of the rows"
    whole = compare(lake, name(table), base, head(table), rows=4_000)
    assert "the same by row" in whole.reason
    assert whole.estimated(whole.added) == pytest.approx(2_900, rel=0.25)


def test_statistics_of_a_large_table_with_a_small_change_come_from_a_sample_but_its_rows_do_not(
    lake: LakePlane,
) -> None:
    schema = pa.schema([("id", pa.int64())])
    table = make(lake, schema)
    for part in range(3):
        base = append(table, [{"id": n} for n in range(part * 20_000, (part + 1) * 20_000)], schema)
    diff = compare(lake, name(table), base, append(table, [{"id": -1}], schema), ("id",), rows=30_000)
    assert (diff.fraction, diff.reason, diff.added, diff.removed) == (1, "", 1, 0)
    assert diff.statistics_fraction == pytest.approx(0.5, rel=0.01)
    assert diff.statistics_note == "of a sample of about 50 % of the rows"
    assert (diff.before.rows, diff.after.rows) == (60_000, 60_001)


@pytest.mark.slow
def test_a_thousand_columns(lake: LakePlane) -> None:
    schema = pa.schema([("id", pa.int64()), *((f"c{n}", pa.int32()) for n in range(999))])
    table = make(lake, schema)
    rows = [{"id": n, **{f"c{c}": c for c in range(999)}} for n in range(50)]
    base = append(table, rows, schema)
    rows[7]["c500"], rows[8]["c998"] = -1, None
    table.overwrite(pa.Table.from_pylist(rows, schema))
    diff = compare(lake, name(table), base, head(table), ("id",))
    assert (diff.added, diff.removed, diff.changed) == (0, 0, 2)
    assert {column.column for column in diff.columns if column.changed} == {"c500", "c998"}
    cells = [(row.key, cell) for row in diff.changed_rows for cell in row.cells]
    assert sorted((key, cell.column, cell.before, cell.after) for key, cell in cells) == [
        (("7",), "c500", "500", "-1"), (("8",), "c998", "998", None),
    ]  # fmt: skip
    assert (len(diff.sample_columns), diff.columns_not_shown) == (30, 970)


def test_names_and_values_are_never_part_of_a_statement_and_are_shown_bounded(lake: LakePlane) -> None:
    evil = 'x"; DROP TABLE before; --'
    schema = pa.schema([("ID", pa.int64()), ("id", pa.int64()), (evil, pa.string())])
    table = make(lake, schema)
    base = append(table, [], schema)
    text = "\x1b[2J\n'; DROP TABLE after; --" + "y" * 10_000
    diff = compare(lake, name(table), base, append(table, [{"ID": 1, "id": 2, evil: text}], schema), ("id",))
    (row,) = diff.added_rows
    assert diff.sample_columns == ("id", "ID", evil)
    assert row.values[:2] == ("2", "1")
    shown = row.values[2]
    assert shown is not None
    assert shown.startswith("\\u001b[2J⏎'; DROP")
    assert shown.endswith("y…")
    assert len(shown) < 210


def test_progress_counts_files_and_rows_and_goes_forward(lake: LakePlane) -> None:
    schema = pa.schema([("id", pa.int64())])
    table = make(lake, schema)
    base = append(table, [{"id": 0}], schema)
    for number in range(4):
        append(table, [{"id": number}] * 10, schema)
    seen: list[Progress] = []

    def watch(now: Progress) -> None:
        seen.append(now)

    sides = (Side(environment=Environment.PRODUCTION, snapshot=one) for one in (base, head(table)))
    lake.compare(name(table), *sides, (), DiffLimits(), watch)
    steps = list(DiffStep)
    assert [steps.index(one.step) for one in seen] == sorted(steps.index(one.step) for one in seen)
    assert [one.rows for one in seen] == sorted(one.rows for one in seen)
    assert {one.of for one in seen} <= {0, 5}


def test_one_that_takes_too_long_ends_says_so_and_leaves_nothing_behind(
    lake: LakePlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    schema = pa.schema([("id", pa.int64())])
    table = make(lake, schema)
    base = append(table, [{"id": 0}], schema)
    after = append(table, [{"id": 1}], schema)
    with pytest.raises(LifecycleError, match="took longer than 1e-06 seconds; try again"):
        compare(lake, name(table), base, after, seconds=1e-6)
    assert list(tmp_path.glob("drls-data-diff-*")) == []


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_is_in_use_is_not(
    lake: LakePlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left, used, other = (tmp_path / one for one in ("drls-data-diff-left", "drls-data-diff-used", "other"))
    for folder in (left, used, other):
        folder.mkdir()
        (folder / "rows.duckdb").write_text("rows of a table")
    lock = os.open(used, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    table = make(lake)
    base = append(table, [])
    compare(lake, name(table), base, base)
    assert sorted(tmp_path.glob("*drls-data-diff-*")) == [used]
    assert other.exists()
    os.close(lock)
    compare(lake, name(table), base, base)
    assert not used.exists()


def test_a_statement_that_runs_is_interrupted_by_who_watches(lake: LakePlane, monkeypatch: pytest.MonkeyPatch) -> None:
    from drls_dagster.lakehouse.diff import rows

    schema = pa.schema([("id", pa.int64())])
    table = make(lake, schema)
    base = append(table, [{"id": 0}], schema)
    began: list[float] = []

    def endless(self: Any) -> None:
        began.append(time.monotonic())
        self._database.execute("SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range = 7")

    monkeypatch.setattr(rows.RowComparison, "run", endless)

    def stop(now: Progress) -> None:
        if began:
            raise Refused("nobody looks any more")

    sides = (Side(environment=Environment.PRODUCTION, snapshot=base),) * 2
    with pytest.raises(Refused, match="nobody looks"):
        lake.compare(name(table), *sides, (), DiffLimits(seconds=60), stop)


def test_a_data_file_that_is_gone_is_one_line(lake: LakePlane) -> None:
    table = make(lake)
    base = append(table, [{"id": 1}])
    for task in table.scan().plan_files():
        Path(task.file.file_path.removeprefix("file://")).unlink()
    with pytest.raises(CannotCompare, match=rf"^the two snapshots of {name(table)} cannot be compared: [^\n]+$"):
        compare(lake, name(table), None, base)


@pytest.mark.slow
def test_a_million_rows_within_bounded_memory(lake: LakePlane, record_property: Any) -> None:
    """Every row rewritten, one in a hundred changed: 2 × 1,000,000 rows are compared, and none is held in Python."""
    size = 1_000_000
    ids = pa.array(range(size))
    texts = pa.array([f"note {n % 1000}" for n in range(size)])
    at = pa.array(
        [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in range(size)], pa.timestamp("us", "UTC")
    )
    values = pa.array([n / 7 for n in range(size)])
    changed = pa.array([n / 7 if n % 100 else -1.0 for n in range(size)])
    names = ["id", "note", "at", "value"]
    frame = pa.table([ids, texts, at, values], names)
    table = make(lake, frame.schema)
    table.append(frame)
    base = head(table)
    table.overwrite(pa.table([ids, texts, at, changed], names))
    before = Counter({"arrow": pa.total_allocated_bytes()})
    most: list[int] = []
    began = time.monotonic()

    def watch(_: Progress) -> None:
        most.append(pa.total_allocated_bytes() - before["arrow"])

    sides = (Side(environment=Environment.PRODUCTION, snapshot=one) for one in (base, head(table)))
    diff = lake.compare(name(table), *sides, promised("id"), DiffLimits(), watch)
    seconds = time.monotonic() - began
    record_property("seconds", seconds)
    print(f"2 × {size:,} rows compared in {seconds:.1f} s, at most {max(most) / 1e6:.0f} MB of Arrow")
    assert (diff.added, diff.removed, diff.changed, diff.fraction) == (0, 0, 10_000, 1)
    assert diff.columns[3].changed == 10_000
    assert max(most) < 300_000_000, "read batch by batch"
