"""D14: Spark and PyIceberg write at once, refs are promoted and rolled back, and every operation runs meanwhile.

What a writer was told to be committed is there, once, with exact sums; each reader of changes sees each row once.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lab import Lab
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyspark.errors import PySparkException
from pyspark.sql.connect import functions

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.altering import IcebergEvolution
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.changes import change_feed
from drls_dagster.lakehouse.commit_retry import CommitConflictError
from drls_dagster.lakehouse.stored_files import local_path
from drls_dagster.maintenance import compact, expire, manifests, orphans, vacuum
from drls_dagster.maintenance.work import Work
from lifecycle.domain.evolution import AddColumn, RollBack
from lifecycle.domain.operations import (
    CompactOptions,
    ExpireOptions,
    ManifestOptions,
    OrphanOptions,
    VacuumOptions,
)
from lifecycle.domain.tables import TableAt
from tests.drls_dagster.maintenance.compacting import needed, stored, work

pytestmark = pytest.mark.slow
# One writer owns the rows of one value of `by`. Snapshot isolation: Spark merges only what it read and others left.
PROPERTIES = {
    "format-version": "2",
    "write.merge.mode": "merge-on-read",
    "write.merge.isolation-level": "snapshot",
}
TIMES, TRIES, SIZE = 3, 60, 10
# What others committed first: nothing of this one is in the table then.
SAYS_CONFLICT = (
    "conflict",
    "CommitFailedException",
    "Cannot commit",
    "missing data files",
    "Missing required files",
    "older than last sequence number",
)


@dataclass
class Ever:
    """Every row that was ever committed, and those that were replaced since, as (id, version, by)."""

    came: Counter[tuple[int, int, str]] = field(default_factory=Counter[tuple[int, int, str]])
    went: Counter[tuple[int, int, str]] = field(default_factory=Counter[tuple[int, int, str]])


@dataclass
class World:
    lab: Lab
    name: str
    spark_name: str
    ever: Ever
    lock: threading.Lock = field(default_factory=threading.Lock)

    def table(self) -> Any:
        return load_catalog(self.lab.settings).load_table(self.name)

    def committed(self, act: Callable[[], object], came: list[tuple[int, int, str]], went: Sequence[Any] = ()) -> None:
        """Once, however often others commit first."""
        for _ in range(TRIES):
            try:
                act()
            except (CommitFailedException, ValidationException, CommitConflictError):
                continue
            except (PySparkException, ValueError) as error:
                if not any(words in str(error) for words in SAYS_CONFLICT):
                    raise
                continue
            with self.lock:
                self.ever.came.update(came)
                self.ever.went.update(went)
            return
        raise AssertionError(f"others committed first {TRIES} times")

    def sql(self, text: str) -> None:
        self.lab.session.spark.sql(text).collect()


def arrow(made: list[tuple[int, int, str]]) -> pa.Table:
    ids, versions, by = zip(*made, strict=True)
    return pa.table({"id": list(ids), "version": list(versions), "by": list(by)})


def values(made: list[tuple[int, int, str]]) -> str:
    return ", ".join(f"({at}L, {version}L, '{by}')" for at, version, by in made)


def rows(first: int, version: int, by: str) -> list[tuple[int, int, str]]:
    return [(at, version, by) for at in range(first, first + SIZE)]


def append_with_pyiceberg(world: World) -> None:
    for number in range(TIMES):
        made = rows(number * SIZE, 0, "pa")
        world.committed(lambda made=made: world.table().append(arrow(made)), made)


def append_with_spark(world: World) -> None:
    for number in range(TIMES):
        made = rows(number * SIZE, 0, "sa")
        text = f"INSERT INTO {world.spark_name} (id, version, by) VALUES {values(made)}"
        world.committed(lambda text=text: world.sql(text), made)


def overwrite_with_pyiceberg(world: World) -> None:
    before: list[tuple[int, int, str]] = []
    for version in range(TIMES):
        made = rows(0, version, "po")
        world.committed(
            lambda made=made: world.table().overwrite(arrow(made), overwrite_filter="by = 'po'"), made, before
        )
        before = made


def overwrite_with_spark(world: World) -> None:
    before: list[tuple[int, int, str]] = []
    for version in range(TIMES):
        made = rows(0, version, "so")
        world.committed(lambda made=made: replace_with_spark(world, made), made, before)
        before = made


def replace_with_spark(world: World, made: list[tuple[int, int, str]]) -> None:
    spark = world.lab.session.spark
    frame = spark.sql(f"SELECT * FROM VALUES {values(made)} AS v(id, version, by)")
    try:
        frame.writeTo(world.spark_name).overwrite(functions.col("by") == "so")
    except PySparkException as error:
        # A compaction has put them into a file with rows of others, and Spark's overwrite replaces whole files alone.
        if "some, but not all, rows match" not in str(error):
            raise
        world.sql(merge(world, made))


def merge_with_pyiceberg(world: World) -> None:
    before: list[tuple[int, int, str]] = []
    for version in range(TIMES):
        made = rows(1_000, version, "pm")
        world.committed(lambda made=made: upsert(world.table(), arrow(made)), made, before)
        before = made


def upsert(table: Any, made: pa.Table) -> None:
    """PyIceberg wants every column here."""
    for name in table.schema().column_names[made.num_columns :]:
        made = made.append_column(name, pa.nulls(made.num_rows, pa.string()))
    table.upsert(made, join_cols=["id", "by"])


def merge_with_spark(world: World) -> None:
    before: list[tuple[int, int, str]] = []
    for version in range(TIMES):
        made = rows(1_000, version, "sm")
        world.committed(lambda made=made: world.sql(merge(world, made)), made, before)
        before = made


def merge(world: World, made: list[tuple[int, int, str]]) -> str:
    """Spark's statement that puts rows of one writer in place of those with the same ids."""
    return (
        f"MERGE INTO {world.spark_name} t USING (SELECT * FROM VALUES {values(made)} AS v(id, version, by)) s "
        f"ON t.by = '{made[0][2]}' AND t.id = s.id AND t.by = s.by WHEN MATCHED THEN UPDATE SET t.version = s.version "
        "WHEN NOT MATCHED THEN INSERT (id, version, by) VALUES (s.id, s.version, s.by)"
    )


WRITERS = (
    append_with_pyiceberg, append_with_spark, overwrite_with_pyiceberg, overwrite_with_spark, merge_with_pyiceberg,
    merge_with_spark,
)  # fmt: skip


def promote_and_roll_back(world: World, finished: threading.Event) -> int:
    """As a promotion does it: `rel` moves to a candidate by compare-and-set; and back to where it was. How often."""
    port, at = IcebergEvolution(world.lab.settings), TableAt(name=world.name)
    times = 0
    while not (finished.is_set() and times):
        table = world.table()
        base, candidate = refs.head(table, "rel"), refs.head(table, "main")
        assert base is not None
        assert candidate is not None
        if candidate != base:
            branch = f"candidate-{times}"
            refs.create_branch(world.lab.catalog, table, branch, candidate)
            refs.publish(world.lab.catalog, world.table(), "rel", base, candidate, branch)
            assert refs.head(world.table(), "rel") == candidate
            back = RollBack(ref="rel", to=str(base))
            port.apply(at, back, port.plan(at, back))
            assert refs.head(world.table(), "rel") == base
            times += 1
        time.sleep(0.5)  # each is three commits of the same table, and the others need to get on
    return times


def operations(world: World, folder: Path) -> dict[str, Callable[[], object]]:
    port, at = IcebergEvolution(world.lab.settings), TableAt(name=world.name)
    expired = ExpireOptions(retain_last=1, older_than=datetime.now(UTC))  # not what readers have yet to see
    cleaned = OrphanOptions(dry_run=False, older_than=timedelta(days=3))
    packed = CompactOptions(min_files=2)

    def on() -> Work:
        return replace(work(world.lab.catalog, world.table(), folder), settings=world.lab.settings)

    def add_column() -> None:
        change = AddColumn(column="added", type="string")
        port.apply(at, change, port.plan(at, change))

    def by_spark() -> None:
        made = on()
        asked = made.settings.maintenance.model_copy(update={"spark_above": 0})
        made = replace(made, settings=made.settings.model_copy(update={"maintenance": asked}))
        compact.execute(made, packed)

    return {
        "compact": lambda: compact.execute(on(), packed),
        "manifests": lambda: manifests.execute(on(), ManifestOptions()),
        "add a column": add_column,
        "expire": lambda: expire.execute(on(), expired),
        "compact and sort": lambda: compact.execute(on(), CompactOptions(strategy="sort", columns=("id",))),
        "compact by Spark": by_spark,
        "orphans": lambda: orphans.execute(on(), cleaned),
        "vacuum": lambda: vacuum.execute(on(), VacuumOptions(compact=packed, expire=expired, orphans=cleaned)),
    }


def operate(world: World, folder: Path) -> None:
    """Each operation, however often the writers were faster."""
    for act in operations(world, folder).values():
        world.committed(act, [])


def follow(world: World, start: int, keys: tuple[str, ...], finished: threading.Event) -> Ever:
    """All changes from `start` on, from snapshot to snapshot as they come, and those of the end."""
    seen, found = None, Ever()
    while True:
        last = finished.is_set()
        table = world.table()
        head = start if seen is None else refs.head(table, "main")
        if head != seen:
            feed = change_feed(table, seen, head, keys=keys, columns=("id", "version", "by"))
            for one in feed.reader().read_all().to_pylist():
                kind = found.came if one["_change_type"] in ("insert", "update_after") else found.went
                kind[one["id"], one["version"], one["by"]] += 1
            seen = head
        if last and seen != start:
            return found
        time.sleep(0.2)  # as a reader does that has caught up


@pytest.mark.filterwarnings("ignore:Delete operation did not match any records")
def test_d14_nothing_is_lost_or_twice_whoever_writes_during_an_operation(lab: Lab, tmp_path: Path) -> None:
    lab.catalog.create_namespace_if_not_exists(lab.identifier("t")[:1])
    given = ", ".join(f"'{name}'='{value}'" for name, value in PROPERTIES.items())
    spark_name = lab.spark_name("t")
    lab.sql(f"CREATE TABLE {spark_name} (id BIGINT, version BIGINT, by STRING) USING iceberg TBLPROPERTIES ({given})")
    world = World(lab, ".".join(lab.identifier("t")), spark_name, Ever())
    first = [one for by in ("old", "older") for one in rows(0, 0, by)]
    for one in first:
        world.committed(lambda one=one: world.table().append(arrow([one])), [one])
    start = refs.head(world.table(), "main") or 0
    refs.create_branch(lab.catalog, world.table(), "rel", start)
    orphan = Path(str(local_path(world.table().location()))) / "data" / "orphan.parquet"
    orphan.write_bytes(b"x")
    week_ago = time.time() - 7 * 86_400
    os.utime(orphan, (week_ago, week_ago))

    finished = threading.Event()
    with ThreadPoolExecutor(16) as pool:
        readers = [pool.submit(follow, world, start, keys, finished) for keys in ((), ("id", "by"))]
        promoting = pool.submit(promote_and_roll_back, world, finished)
        busy = [pool.submit(writer, world) for writer in WRITERS]
        operating = pool.submit(operate, world, tmp_path)
        try:
            for one in (*busy, operating):
                one.result()
        finally:
            finished.set()
        seen = [one.result() for one in readers]
        assert promoting.result() > 1

    ever = world.ever
    assert not orphan.exists()
    there = lab.sql(f"SELECT id, version, by FROM {spark_name}")
    assert Counter((row["id"], row["version"], row["by"]) for row in there) == ever.came - ever.went
    [total] = lab.sql(f"SELECT count(*) AS n, sum(id) AS ids, sum(version) AS versions FROM {spark_name}")
    left = list((ever.came - ever.went).elements())
    assert (total["n"], total["ids"], total["versions"]) == (
        len(left),
        sum(at for at, _, _ in left),
        sum(version for _, version, _ in left),
    )
    for one in seen:
        assert (one.came, one.went) == (ever.came, ever.went)
    assert needed(world.table()) <= stored(world.table()), "a file that a snapshot needs is gone"
    kept = {
        (row["id"], row["version"], row["by"]) for row in lab.sql(f"SELECT * FROM {spark_name} VERSION AS OF 'rel'")
    }
    assert kept == set(first), "rolled back to what it had"
