"""kill -9 at every step of every operation: the table is readable, no file is missing, and the next run tidies up."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pytest

from drls_dagster.lakehouse import catalog, refs
from drls_dagster.lakehouse.catalog import load_catalog
from tests.iceberg_tables import make_table
from tests.killing import NAME, OPERATIONS, READER, follow, followed, killed_at
from tests.table_operations import content, files_needed, files_there, require_tidy

pytestmark = pytest.mark.slow
WEEK = 7 * 86_400


class World:
    """A neglected table, put back before each try at the same place: metadata has whole paths."""

    def __init__(self, home: Path) -> None:
        self._home, self._kept = home, home.with_name("kept")
        table = make_table(NAME, *[{"x": [number]} for number in range(6)])
        table.overwrite(pa.table({"x": [number % 5 for number in range(20)]}))
        for number in range(5):
            table.append(pa.table({"x": [number]}))
        table = load_catalog().load_table(NAME)
        refs.create_branch(load_catalog(), table, "b", table.metadata.snapshots[2].snapshot_id)
        orphan = Path(table.location().removeprefix("file://")) / "data" / "orphan.parquet"
        orphan.write_bytes(b"x")
        os.utime(orphan, (time.time() - WEEK,) * 2)
        self.orphan = str(orphan)
        self.before = content(NAME)
        self._forget()
        shutil.copytree(home, self._kept)

    def restore(self) -> None:
        self._forget()
        shutil.rmtree(self._home)
        shutil.copytree(self._kept, self._home)

    def _forget(self) -> None:
        # This process has the old files open.
        load_catalog().close()
        catalog._load.cache_clear()


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_whatever_is_killed_is_readable_and_complete_and_the_next_run_leaves_nothing(
    drls_home: Path, operation: str
) -> None:
    world = World(drls_home)
    OPERATIONS[operation]()
    done = content(NAME)
    assert done == world.before or operation == "roll back"
    removes = operation in ("orphans", "vacuum")
    # What comes late is one file after the other.
    for step in itertools.chain(range(1, 30), itertools.count(30, 7)):
        world.restore()
        # The steps of a vacuum are those of its parts.
        if not killed_at(step, str(drls_home), operation, commits_only=operation == "vacuum"):
            break
        assert content(NAME) in (world.before, done), step
        assert files_needed(NAME) <= files_there(NAME), step
        OPERATIONS[operation]()
        assert content(NAME) == done, step
        if not removes:
            Path(world.orphan).unlink()
        require_tidy(NAME)
        assert not list((drls_home / "maintenance").glob("spill-*")), step
    assert step > 2, "nothing was counted"


def test_a_reader_of_changes_that_is_killed_continues_and_has_each_row_once(drls_home: Path) -> None:
    table = make_table(NAME, *[{"x": [number, number + 10]} for number in range(3)])
    OPERATIONS["compact"]()
    table.refresh().delete("x = 11")
    table.append(pa.table({"x": [7]}))
    follow()
    whole = followed()
    comes = [x for what, x, _ in whole if what == "insert"]
    assert sorted(comes) == [0, 1, 2, 7, 10, 11, 12]
    assert [x for what, x, _ in whole if what == "delete"] == [11]
    for step in itertools.count(1):
        (drls_home / "reader.db").unlink()
        if not killed_at(step, str(drls_home), READER):
            break
        follow()
        assert followed() == whole, step
    assert step > len(whole), "nothing was counted"
