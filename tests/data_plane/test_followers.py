"""Readers that follow a table while others append, merge and compact: each sees each row once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.table import Table

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.changes import change_feed
from drls_dagster.lakehouse.changes.page import changes_page
from drls_dagster.lakehouse.commit_retry import CommitConflictError
from drls_dagster.maintenance import compact
from lifecycle.domain.operations import CompactOptions
from tests.drls_dagster.maintenance.compacting import work
from tests.iceberg_tables import make_table

NAME = "lab.followed"
MERGED = range(4)  # keys that are updated again and again
ROUNDS, TRIES = 4, 50
Read = Callable[[Table, int | None, int], list[dict[str, Any]]]


def rows(version: int, *ids: int) -> pa.Table:
    return pa.table({"id": list(ids), "version": [version] * len(ids)})


def fresh() -> Table:
    return load_catalog().load_table(NAME)


def committed(act: Callable[[], object]) -> None:
    """Once, however often others commit first: what these errors say was not committed."""
    for _ in range(TRIES):
        try:
            act()
        except (CommitFailedException, ValidationException, CommitConflictError):
            continue  # then others have committed, which they do only so often
        return
    raise AssertionError(f"others committed first {TRIES} times")


def append(first: int) -> None:
    for number in range(ROUNDS):
        committed(lambda at=first + number * 10: fresh().append(rows(0, *range(at, at + 10))))


def merge() -> None:
    for version in range(1, ROUNDS + 1):
        new = rows(version, *MERGED, 1_000 + version)
        committed(lambda new=new: fresh().upsert(new, join_cols=["id"]))


def compaction(folder: Path, **options: Any) -> None:
    committed(lambda: compact.execute(work(load_catalog(), fresh(), folder), CompactOptions(**options)))


def compactions(folder: Path) -> None:
    for _ in range(ROUNDS):
        compaction(folder, min_files=2)


def whole(table: Table, since: int | None, until: int) -> list[dict[str, Any]]:
    return change_feed(table, since, until).reader().read_all().to_pylist()


def by_key(table: Table, since: int | None, until: int) -> list[dict[str, Any]]:
    return change_feed(table, since, until, keys=["id"]).reader().read_all().to_pylist()


def interrupted(table: Table, since: int | None, until: int) -> list[dict[str, Any]]:
    """Dies at its first batch, and begins again where it had begun."""
    for _ in change_feed(table, since, until, batch_bytes=64).batches():
        break
    return change_feed(table, since, until, batch_bytes=64).reader().read_all().to_pylist()


def in_pages(table: Table, since: int | None, until: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    skip = 0
    while True:
        page = changes_page(
            table, since, until, keys=(), columns=(), skip=skip, rows=7, most_bytes=100_000, text=100, memory="64MB"
        )
        names = [one["name"] for one in page["columns"]]
        found += [dict(zip(names, row, strict=True)) for row in page["rows"]]
        if page["next"] is None:
            return found
        since, skip = page["next"]["since"], page["next"]["skip"]


def follow(read: Read, finished: threading.Event) -> list[dict[str, Any]]:
    """All changes, from snapshot to snapshot as they come, and those of the end."""
    found: list[dict[str, Any]] = []
    seen: int | None = None
    while True:
        last = finished.is_set()
        table = fresh()
        head = refs.head(table, "main")
        if head is not None and head != seen:
            found += read(table, seen, head)
            seen = head
        if last:
            return found


@pytest.mark.slow
def test_every_reader_sees_each_row_once_while_others_append_merge_and_compact(tmp_path: Path) -> None:
    make_table(NAME, rows(0, *MERGED))
    finished = threading.Event()
    readers: tuple[Read, ...] = (whole, by_key, interrupted, in_pages)
    with ThreadPoolExecutor(16) as pool:
        following = [pool.submit(follow, read, finished) for read in readers]
        writing = [
            pool.submit(append, 100),
            pool.submit(append, 200),
            pool.submit(merge),
            pool.submit(compactions, tmp_path),
        ]
        try:
            for one in writing:
                one.result()
            compaction(tmp_path, all=True)
        finally:
            finished.set()
        seen = [one.result() for one in following]

    appended = [(one, 0) for first in (100, 200) for one in range(first, first + ROUNDS * 10)]
    merged = [(one, version) for version in range(ROUNDS + 1) for one in MERGED]
    single = [(1_000 + version, version) for version in range(1, ROUNDS + 1)]
    ever = Counter([*appended, *merged, *single])
    replaced = Counter(one for one in merged if one[1] < ROUNDS)
    table = fresh()
    kinds = {one.summary.operation.value for one in table.snapshots() if one.summary is not None}
    assert kinds >= {"append", "overwrite", "replace"}
    assert Counter((one["id"], one["version"]) for one in table.scan().to_arrow().to_pylist()) == ever - replaced
    for changes in seen:
        told = {
            kind: Counter((one["id"], one["version"]) for one in changes if one["_change_type"] in words)
            for kind, words in (("comes", ("insert", "update_after")), ("goes", ("delete", "update_before")))
        }
        assert told == {"comes": ever, "goes": replaced}
