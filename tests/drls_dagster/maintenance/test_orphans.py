"""Orphans: found by name whatever their spelling, listed by default, and never a file that somebody may need."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table
from pyiceberg.table.update import SetLocationUpdate

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.maintenance import orphans
from lifecycle.domain.operations import OrphanOptions, OrphanResult
from tests.iceberg_tables import make_table
from tests.table_operations import content, files_needed, files_there, require_tidy, work_on

DELETE = OrphanOptions(dry_run=False)
WEEK = 7 * 86_400


def run(name: str, options: OrphanOptions = DELETE) -> OrphanResult:
    work = work_on(name)
    return orphans.execute(work, options)


def folder_of(table: Table) -> Path:
    return Path(table.location().removeprefix("file://"))


def leave(path: Path, *, age: float = WEEK, size: int = 10) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    make_old(path, age)
    return str(path)


def make_old(path: Path, age: float = WEEK) -> None:
    os.utime(path, (time.time() - age,) * 2)


def test_old_files_that_nothing_needs_are_listed_then_deleted() -> None:
    table = make_table("n.t", {"x": [1]}, {"x": [2]})
    old = leave(folder_of(table) / "data" / "part=1" / "old.parquet", size=30)
    young = leave(folder_of(table) / "data" / "young.parquet", age=3_600)
    for one in files_there("n.t") - {old, young}:
        make_old(Path(one))
    listed = run("n.t", OrphanOptions())
    assert (listed.orphan_count, listed.removed_count, listed.files, listed.dry_run) == (1, 0, (old,), True)
    assert Path(old).exists()
    done = run("n.t")
    assert (done.orphan_count, done.removed_count, done.removed_bytes) == (1, 1, 30)
    assert files_there("n.t") == files_needed("n.t") | {young}
    assert sorted(content("n.t")["main"]) == [(1,), (2,)]


def test_deleting_asks_for_a_guard_of_a_day() -> None:
    make_table("n.t", {"x": [1]})
    with pytest.raises(UsageError, match="24 hours"):
        run("n.t", OrphanOptions(dry_run=False, older_than=timedelta(hours=1)))
    assert run("n.t", OrphanOptions(older_than=timedelta(0))).orphan_count == 0


def test_what_a_version_needed_that_was_current_yesterday_stays() -> None:
    """PyIceberg's expiry deletes no files: a reader that began before it may still be reading them."""
    table = make_table("n.t", {"x": [1]})
    table.overwrite(pa.table({"x": [2]}))
    there = files_there("n.t")
    first = table.metadata.snapshots[0].snapshot_id
    table.refresh().maintenance.expire_snapshots().by_id(first).commit()
    for one in files_there("n.t"):
        make_old(Path(one))
    assert run("n.t").orphan_count == 0
    assert there <= files_there("n.t")


def test_a_table_below_is_not_touched() -> None:
    table = make_table("n.t", {"x": [1]})
    below = make_table("n.u", {"x": [2]}, location=f"{table.location()}/data/u")
    foreign = leave(folder_of(below) / "data" / "old.parquet")
    for one in files_there("n.u"):
        make_old(Path(one))
    assert run("n.t").orphan_count == 0
    assert Path(foreign).exists()
    assert run("n.u").files == (foreign,)


def test_a_table_that_calls_another_folder_its_own_deletes_nothing_there(drls_home: Path, tmp_path: Path) -> None:
    """SQL can name any folder as a table's location; a link below the warehouse leads to one, too."""
    make_table("n.t", {"x": [1]})
    kept = [leave(drls_home / "signing-key.pem"), leave(tmp_path / "mine" / "thesis.txt")]
    link = folder_of(load_catalog().load_table("n.t")).parent / "link"
    link.symlink_to(tmp_path / "mine")
    # Another client, which writes wherever a table says that it is.
    theirs = SqlCatalog(
        "lake", uri=f"sqlite:///{drls_home}/catalog/catalog.db", warehouse=f"file://{drls_home}/warehouse"
    )
    for location in (drls_home, tmp_path / "mine", link, Path("/"), drls_home / "warehouse"):
        with theirs.load_table("n.t").transaction() as change:
            change._apply((SetLocationUpdate(location=f"file://{location}"),))
        for options in (OrphanOptions(), DELETE):
            with pytest.raises(DrlsError, match="not below the warehouse"):
                run("n.t", options)
    assert [one for one in kept if not Path(one).exists()] == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    table = make_table("n.t", {"x": [1]})
    outside = leave(tmp_path / "outside" / "a.parquet")
    (folder_of(table) / "data" / "link").symlink_to(tmp_path / "outside")
    (folder_of(table) / "data" / "a.parquet").symlink_to(outside)
    assert run("n.t").orphan_count == 0
    assert Path(outside).exists()


@pytest.mark.parametrize("spelling", ["file:", "file://", ""])
def test_spellings_of_a_path_are_one_file(spelling: str) -> None:
    table = make_table("n.t", {"x": [1]})
    data = next(Path(one.file.file_path.removeprefix("file://")) for one in table.scan().plan_files())
    copied = data.with_name("copied.parquet")
    copied.write_bytes(data.read_bytes())
    table.add_files([f"{spelling}{copied}"])
    for one in files_there("n.t"):
        make_old(Path(one))
    assert run("n.t").orphan_count == 0


def test_branches_and_tags_keep_their_files() -> None:
    table = make_table("n.t", {"x": [1]})
    first = table.metadata.snapshots[0].snapshot_id
    table.manage_snapshots().create_branch(first, "drls_run_1").create_tag(first, "drls-release-1").commit()
    load_catalog().load_table("n.t").append(pa.table({"x": [2]}), branch="drls_run_1")
    load_catalog().load_table("n.t").overwrite(pa.table({"x": [3]}))
    before = content("n.t")
    for one in files_there("n.t"):
        make_old(Path(one))
    assert run("n.t").orphan_count == 0
    assert content("n.t") == before
    require_tidy("n.t")
