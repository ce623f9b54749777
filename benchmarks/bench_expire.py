"""Expiry and orphans on a table of 10,000 files against Spark's procedures, each on its own copy, on a warm engine."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyiceberg.table import Table

from benchmarks.lab import Lab, in_turn, seconds
from benchmarks.report import Line, Side, at_least
from drls_dagster.engine.session import session as open_session
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.maintenance import expire, orphans
from drls_dagster.maintenance.keep import keep_of
from drls_dagster.maintenance.kinds import Kind
from drls_dagster.maintenance.work import Note, Work
from lifecycle.domain.operations import ExpireOptions, OrphanOptions

if TYPE_CHECKING:
    from pyiceberg.table.update import AddSnapshotUpdate

FILES, COMMITS, ORPHANS, FACTOR = 10_000, 100, 1_000, 3.0
WEEK = 7 * 86_400
EXPIRE = ExpireOptions(retain_last=1)
REMOVE = OrphanOptions(dry_run=False)


@dataclass
class _Journal:
    """What an operation notes, for as long as it runs."""

    left: list[Note] = field(default_factory=list[Note])

    def note(self, kind: str, **facts: Any) -> Note:
        made = Note(len(self.left), 1, kind, facts)
        self.left.append(made)
        return made

    def notes(self, kind: str) -> Sequence[Note]:
        return [one for one in self.left if one.kind == kind]

    def settle(self, notes: Sequence[Note]) -> None:
        self.left = [one for one in self.left if one not in notes]


def run(lab: Lab) -> list[Line]:
    files = lab.times(FILES, FILES // 20)
    commits = lab.times(COMMITS, COMMITS // 20)
    lab.engine()
    numbers = iter(range(1_000))
    with open_session(lab.settings) as opened:
        spark = opened.spark
        catalog = lab.settings.catalog.name

        def made(*, overwritten: bool) -> str:
            name = f"bench.t{next(numbers)}"
            table = _make(name, files, commits)
            if overwritten:
                table.overwrite(_rows())
            return name

        def ours_expires() -> float:
            work = _work(lab, made(overwritten=True))
            took = seconds(lambda: _asked_for(work, expire, EXPIRE))
            return _checked(took, work.name, 1)

        def spark_expires() -> float:
            name = made(overwritten=True)
            now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 60))
            call = (
                f"CALL {catalog}.system.expire_snapshots(table => '{name}', older_than => TIMESTAMP '{now}', "
                "retain_last => 1)"
            )
            return _checked(seconds(lambda: spark.sql(call).collect()), name, 1)

        def ours_cleans() -> float:
            name = made(overwritten=False)
            _leave_orphans(name, files)
            work = _work(lab, name)
            took = seconds(lambda: _asked_for(work, orphans, REMOVE))
            return _checked(took, name, files)

        def spark_cleans() -> float:
            name = made(overwritten=False)
            _leave_orphans(name, files)
            before = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - 3 * 86_400))
            call = f"CALL {catalog}.system.remove_orphan_files(table => '{name}', older_than => TIMESTAMP '{before}')"
            return _checked(seconds(lambda: spark.sql(call).collect()), name, files)

        for side in (spark_expires, spark_cleans):
            side()  # warm
        times = lab.times(3, 1)
        a, b = in_turn(times, ours_expires, spark_expires)
        c, d = in_turn(times, ours_cleans, spark_cleans)
    note = f"{files:,} files in {commits} snapshots; the plan is part of A; every file was looked for at the end"
    return [
        at_least("expire", "expired", Side("drls", a), Side("Spark, expire_snapshots", b), FACTOR, note),
        at_least(
            "expire",
            f"{files // 10:,} orphans removed",
            Side("drls", c),
            Side("Spark, remove_orphan_files", d),
            FACTOR,
        ),
    ]


def _rows() -> pa.Table:
    return pa.table({"id": pa.array(range(100), pa.int64()), "amount": pa.array([1.5] * 100)})


def _make(name: str, files: int, commits: int) -> Table:
    """A table of so many files, all of them links to one, in so many snapshots."""
    from pyiceberg.manifest import DataFile

    catalog = load_catalog()
    catalog.create_namespace_if_not_exists("bench")
    table = catalog.create_table(name, _rows().schema)
    table.append(_rows())
    (first,) = (one.file for one in table.scan().plan_files())
    source = Path(first.file_path.removeprefix("file://"))
    for commit in range(commits):
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            for number in range(files // commits):
                path = source.with_name(f"{commit}-{number}.parquet")
                os.link(source, path)
                copied = DataFile(*first._data)
                copied._data[1] = f"file://{path}"
                copied.spec_id = 0
                append.append_data_file(copied)
    return catalog.load_table(name)


def _leave_orphans(name: str, files: int) -> None:
    """A tenth as many files that nothing needs, a week old as everything else there."""
    table = load_catalog().load_table(name)
    folder = Path(table.location().removeprefix("file://")) / "data"
    for number in range(files // 10):
        (folder / f"orphan-{number}.parquet").write_bytes(b"x" * 1_000)
    old = time.time() - WEEK
    for path in folder.parent.rglob("*"):
        os.utime(path, (old, old))


def _work(lab: Lab, name: str) -> Work:
    catalog = load_catalog(lab.settings)
    table = catalog.load_table(name)
    keep = keep_of(lab.settings, catalog, table)

    def nothing(table: Table, ref: str, base: int | None, add: AddSnapshotUpdate, snapshot_id: int) -> Table:
        raise AssertionError("neither of the two publishes a snapshot")

    return Work(lab.settings, catalog, table, name, "main", keep, _Journal(), nothing)


def _asked_for(work: Work, kind: Kind, options: ExpireOptions | OrphanOptions) -> None:
    """Whoever asks for an operation waits for its plan as well."""
    kind.plan(work.table, "main", options, work.keep)
    kind.execute(work, options)


def _checked(took: float, name: str, files: int) -> float:
    """The time, once it is certain that the right files are left."""
    table = load_catalog().load_table(name)
    left = sum(1 for _ in (Path(table.location().removeprefix("file://")) / "data").glob("*.parquet"))
    assert left in (files, files + 1), f"{name} has {left} data files"
    return took
