"""Expiry: what goes, what stays and why, and that files go exactly when nothing needs them."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyiceberg.exceptions import ValidationException
from pyiceberg.table import Table

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.maintenance import expire
from drls_dagster.maintenance.work import Keep
from lifecycle.domain.operations import ExpireOptions, ExpireResult
from tests.iceberg_tables import make_table
from tests.table_operations import content, files_there, require_tidy, rows_of, work_on

LAST = ExpireOptions(retain_last=1)


def appended(name: str, count: int, **options: object) -> Table:
    return make_table(name, *({"x": [number]} for number in range(count)), **options)


def run(name: str, options: ExpireOptions = LAST, keep: Keep | None = None) -> ExpireResult:
    work = work_on(name, keep=keep)
    return expire.execute(work, options)


def snapshots(name: str) -> list[int]:
    return [one.snapshot_id for one in load_catalog().load_table(name).metadata.snapshots]


def commit(table: Table, *updates: object) -> None:
    table.catalog.commit_table(table, (), updates)  # pyright: ignore[reportArgumentType]


def test_the_last_ones_stay_and_files_of_the_others_go() -> None:
    table = appended("n.t", 6)
    table.overwrite(pa.table({"x": [100]}))
    before = content("n.t")
    result = run("n.t")
    assert (result.expired_count, result.remaining_count) == (7, 1)
    assert result.deleted_files > 6
    assert result.deleted_bytes > 0
    assert content("n.t") == before
    require_tidy("n.t")


def test_a_plan_says_what_goes_and_changes_nothing() -> None:
    table = appended("n.t", 3)
    there = files_there("n.t")
    planned = expire.plan(table, "main", LAST, Keep())
    assert planned.needed
    assert (planned.figures["snapshots_before"], planned.figures["snapshots_after"]) == (3, 1)
    assert planned == expire.plan(table, "main", LAST, Keep())
    assert files_there("n.t") == there
    assert len(snapshots("n.t")) == 3
    result = run("n.t")
    assert result.deleted_files == planned.figures["files"]


def test_without_options_young_snapshots_stay() -> None:
    appended("n.t", 3)
    assert run("n.t", ExpireOptions()).expired_count == 0


def test_the_tables_properties_say_how_many_stay() -> None:
    appended(
        "n.t", 5, properties={"history.expire.min-snapshots-to-keep": "3", "history.expire.max-snapshot-age-ms": "1"}
    )
    assert run("n.t", ExpireOptions()).remaining_count == 3


def test_what_is_older_goes_but_for_the_last_ones() -> None:
    appended("n.t", 5)
    late = ExpireOptions(older_than=datetime.now(UTC) + timedelta(minutes=1), retain_last=2)
    early = ExpireOptions(older_than=datetime.now(UTC) - timedelta(minutes=5), retain_last=2)
    assert run("n.t", early).expired_count == 0
    assert run("n.t", late).remaining_count == 2


def test_a_branch_keeps_what_it_says_itself_and_a_tag_its_snapshot() -> None:
    table = appended("n.t", 5)
    first, second, third, *_ = snapshots("n.t")
    table.manage_snapshots().create_branch(third, "b", min_snapshots_to_keep=2).create_tag(first, "kept").commit()
    before = content("n.t")
    result = run("n.t")
    assert result.remaining_count == 4
    assert set(snapshots("n.t")) == {first, second, third, snapshots("n.t")[-1]}
    assert content("n.t") == before
    require_tidy("n.t")


def test_only_the_named_branches_are_expired() -> None:
    table = appended("n.t", 4)
    table.manage_snapshots().create_branch(snapshots("n.t")[2], "b").commit()
    result = run("n.t", ExpireOptions(retain_last=1, refs=("main",)))
    assert (result.expired_count, result.remaining_count) == (0, 4)
    with pytest.raises(UsageError, match="no branch 'gone'"):
        run("n.t", ExpireOptions(retain_last=1, refs=("gone",)))


def test_an_old_ref_goes_but_none_of_drls_and_of_environments() -> None:
    table = appended("n.t", 3, properties={"history.expire.max-ref-age-ms": "1"})
    first = snapshots("n.t")[0]
    manage = table.manage_snapshots()
    for name in ("drls-release-1", "drls-candidate-2", "drls-revert-3", "old"):
        manage = manage.create_tag(first, name)
    manage.create_branch(first, "qa").create_branch(first, "drls_run_1_2").commit()
    run("n.t")
    assert set(load_catalog().load_table("n.t").metadata.refs) == {
        "main", "qa", "drls_run_1_2", "drls-release-1", "drls-candidate-2", "drls-revert-3",
    }  # fmt: skip


def test_what_must_stay_stays_and_the_plan_says_why() -> None:
    table = appended("n.t", 4)
    second = snapshots("n.t")[1]
    keep = Keep(snapshots={second: "evidence session 7 in QA is open"})
    rows = rows_of(table, second)
    assert "1 snapshot stays: evidence session 7 in QA is open" in expire.plan(table, "main", LAST, keep).reasons
    assert run("n.t", keep=keep).remaining_count == 2
    assert rows_of(load_catalog().load_table("n.t"), second) == rows


def test_a_sealed_file_goes_and_one_of_others_stays(tmp_path: Path) -> None:
    """L17: files that a publish sealed are read-only. A manifest can name any file: only the table's own go."""
    table = appended("n.t", 1)
    mine = next(Path(one.file.file_path.removeprefix("file://")) for one in table.scan().plan_files())
    foreign = tmp_path / "elsewhere.parquet"
    foreign.write_bytes(mine.read_bytes())
    table.add_files([f"file://{foreign}"])
    table.overwrite(pa.table({"x": [7]}))
    mine.chmod(stat.S_IRUSR)
    run("n.t")
    assert not mine.exists()
    assert foreign.exists()


def test_a_link_in_the_tables_folder_leads_nowhere(tmp_path: Path) -> None:
    table = appended("n.t", 1)
    mine = next(Path(one.file.file_path.removeprefix("file://")) for one in table.scan().plan_files())
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.parquet").write_bytes(mine.read_bytes())
    (mine.parent / "link").symlink_to(outside)
    table.add_files([f"file://{mine.parent}/link/a.parquet"])
    table.overwrite(pa.table({"x": [7]}))
    run("n.t")
    assert (outside / "a.parquet").exists()


def test_writers_meanwhile_lose_nothing() -> None:
    appended("n.t", 30)
    errors: list[Exception] = []

    def append(number: int) -> None:
        try:
            load_catalog().load_table("n.t").append(pa.table({"x": [number]}))
        except ValidationException:
            # PyIceberg compares with the snapshot that a write began from, which may be gone: nothing was committed.
            append(number)

    def write(first: int) -> None:
        try:
            for number in range(first, first + 10):
                append(number)
        except Exception as error:  # noqa: BLE001 (raised below)
            errors.append(error)

    writers = [threading.Thread(target=write, args=(first,)) for first in (1000, 2000)]
    for one in writers:
        one.start()
    while any(one.is_alive() for one in writers):
        run("n.t")
    for one in writers:
        one.join()
    run("n.t")
    assert not errors
    wanted = sorted([*range(30), *range(1000, 1010), *range(2000, 2010)])
    assert [row[0] for row in sorted(content("n.t")["main"])] == wanted


def test_a_ref_that_is_made_at_the_last_moment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    appended("n.t", 3)
    first = snapshots("n.t")[0]
    work = work_on("n.t")
    catalog, commit_table = load_catalog(), load_catalog().commit_table
    made: list[int] = []

    def meanwhile(table: Table, requirements: object, updates: object) -> object:
        if not made:
            made.append(first)
            update = refs.set_tag("drls-candidate-9", first)
            commit_table(catalog.load_table("n.t"), (), (update,))
        return commit_table(table, requirements, updates)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(catalog, "commit_table", meanwhile)
    result = expire.execute(work, LAST)
    assert result.remaining_count == 2
    assert set(content("n.t")) == {"main", "drls-candidate-9"}


_KILLED = """
import os, signal, sys
from drls_dagster.lakehouse import file_removal
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.maintenance import expire
from lifecycle.domain.operations import ExpireOptions
from pyiceberg.catalog.sql import SqlCatalog
from tests.table_operations import FileJournal, work_on

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def dies_after(times, real):
    left = [times]
    def do(*given, **named):
        if left[0] == 0:
            die()
        left[0] -= 1
        return real(*given, **named)
    return do

step = sys.argv[1]
work = work_on("n.t")
if step == "before the note":
    FileJournal.note = die
elif step == "before the commit":
    SqlCatalog.commit_table = die
elif step == "between metadata and catalog":
    real = SqlCatalog._write_metadata
    def write(*given, **named):
        real(*given, **named)
        die()
    SqlCatalog._write_metadata = staticmethod(write)
elif step == "after the commit":
    file_removal.os.unlink = die
elif step == "among the files":
    file_removal.os.unlink = dies_after(5, os.unlink)
elif step == "among the manifests":
    file_removal.os.unlink = dies_after(14, os.unlink)
elif step == "before the end":
    FileJournal.settle = die
options = ExpireOptions(retain_last=1)
expire.execute(work, options)
"""


@pytest.mark.parametrize(
    "step",
    [
        "before the note",
        "before the commit",
        "between metadata and catalog",
        "after the commit",
        "among the files",
        "among the manifests",
        "before the end",
    ],
)
@pytest.mark.slow
def test_a_killed_one_is_completed_by_the_next(step: str) -> None:
    table = appended("n.t", 10)
    table.overwrite(pa.table({"x": [100]}))
    table.append(pa.table({"x": [200]}))
    before = content("n.t")
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, step], env={**os.environ, "PYTHONPATH": os.getcwd()}, timeout=240, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert content("n.t") == before
    run("n.t")
    assert content("n.t") == before
    assert len(snapshots("n.t")) == 1
    require_tidy("n.t")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["append", "overwrite", "delete", "branch", "tag", "release", "rollback", "to branch", "expire"]
        ),
        st.integers(0, 5),
    ),
    min_size=4,
    max_size=12,
)


@settings(
    max_examples=5,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS, last=st.integers(1, 3))
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Delete operation did not match any records")
def test_every_ref_holds_what_it_held(steps: list[tuple[str, int]], last: int) -> None:
    catalog = load_catalog()
    name = f"n.t{uuid.uuid4().hex}"
    table = make_table(name, pa.table({"x": pa.array([0], pa.int64()), "b": ["first"]}))
    for number, (step, what) in enumerate(steps):
        table = catalog.load_table(name)
        ids = [one.snapshot_id for one in table.metadata.snapshots]
        one = ids[what % len(ids)]
        rows = pa.table({"x": pa.array([number], pa.int64()), "b": [step]})
        if step == "append":
            table.append(rows)
        elif step == "overwrite":
            table.overwrite(rows)
        elif step == "delete":
            table.delete(f"x = {what}")
        elif step == "branch":
            commit(table, refs.set_branch(table, f"b{what}", one))
        elif step == "tag":
            commit(table, refs.set_tag(f"t{number}", one))
        elif step == "release":
            commit(table, refs.set_branch(table, "main", one), refs.set_tag(f"drls-release-{number}", one))
        elif step == "rollback":
            commit(table, refs.set_branch(table, "main", one))
        elif step == "to branch" and f"b{what}" in table.metadata.refs:
            table.append(rows, branch=f"b{what}")
        elif step == "expire":
            run(name, ExpireOptions(retain_last=last))
    before = content(name)
    run(name, ExpireOptions(retain_last=last, older_than=datetime.now(UTC) + timedelta(minutes=1)))
    assert content(name) == before
    require_tidy(name)
