"""Compaction next to writers who commit meanwhile, over rows that are deleted, and after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyiceberg.table.update import AddSnapshotUpdate

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.commit_retry import CommitConflictError
from drls_dagster.maintenance import compact
from drls_dagster.maintenance.work import Work
from lifecycle.domain.operations import CompactOptions, CompactResult
from tests.drls_dagster.maintenance.compacting import (
    compacted,
    content,
    data_files,
    delete_equal,
    delete_positions,
    lake,
    live,
    needed,
    stored,
    work,
)

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

SCHEMA = pa.schema([("n", pa.int64()), ("s", pa.string())])


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return lake(tmp_path)


def rows(*numbers: int) -> pa.Table:
    return pa.table({"n": list(numbers), "s": [f"s{one}" for one in numbers]}, schema=SCHEMA)


def small_table(catalog: Catalog, files: int = 6) -> Table:
    table = catalog.create_table("ns.t", SCHEMA, properties={"format-version": "2"})
    for number in range(files):
        table.append(rows(*range(number * 10, number * 10 + 10)))
    return table


def compacted_while(
    catalog: Catalog, folder: Path, acts: list[Callable[[], Any]], options: CompactOptions | None = None
) -> CompactResult:
    """A compaction that is overtaken: before its n-th commit, the n-th of `acts` happens."""
    given_options = options or CompactOptions()
    table = catalog.load_table("ns.t")
    todo = list(acts)
    made: Work = work(catalog, table, folder)
    publish = made.publish

    def overtaken(table: Table, ref: str, base: int | None, add: AddSnapshotUpdate, snapshot_id: int) -> Table:
        if todo:
            todo.pop(0)()
        return publish(table, ref, base, add, snapshot_id)

    made.publish = overtaken
    result = compact.execute(made, given_options)
    assert not todo
    return result


def test_position_deletes_are_applied_and_their_files_go(catalog: Catalog, tmp_path: Path) -> None:
    table = small_table(catalog)
    [first, second, *_] = [one.file_path for one in live(table)]
    delete_positions(catalog, "ns.t", {first: [0, 3, 9], second: [1]})
    table = delete_positions(catalog, "ns.t", {first: [5]})
    before = content(table)

    result, after = compacted(catalog, "ns.t", tmp_path)

    assert (result.rewritten_files, result.new_files, result.applied_deletes) == (6, 1, 5)
    assert content(after) == before
    assert after.scan().to_arrow().num_rows == 55
    told = refs.summary(after.snapshot_by_id(result.snapshot or 0))
    assert (told["total-delete-files"], told["total-position-deletes"]) == ("0", "0")
    assert (told["total-records"], told["removed-position-delete-files"]) == ("55", "3")


def test_deletes_of_files_that_stay_stay(catalog: Catalog, tmp_path: Path) -> None:
    table = small_table(catalog)
    [first, *_, last] = [one.file_path for one in live(table)]
    table = delete_positions(catalog, "ns.t", {first: [0], last: [0, 1]})
    before = content(table)

    result, after = compacted(catalog, "ns.t", tmp_path, where="n < 30", min_files=2)

    assert result.rewritten_files == 3
    assert content(after) == before
    assert after.scan().to_arrow().num_rows == 57
    assert refs.summary(after.snapshot_by_id(result.snapshot or 0))["total-delete-files"] == "1"


def test_a_file_of_which_every_row_is_deleted_leaves_no_file(catalog: Catalog, tmp_path: Path) -> None:
    table = small_table(catalog, 1)
    delete_positions(catalog, "ns.t", {live(table)[0].file_path: list(range(10))})

    result, after = compacted(catalog, "ns.t", tmp_path)

    assert (result.rewritten_files, result.new_files, result.applied_deletes) == (1, 0, 10)
    assert data_files(after) == []
    assert stored(after) == needed(after)


def test_d14_rows_that_are_appended_meanwhile_stay(catalog: Catalog, tmp_path: Path) -> None:
    table = small_table(catalog)

    def append() -> None:
        catalog.load_table("ns.t").append(rows(100, 101))

    result = compacted_while(catalog, tmp_path, [append, append])

    after = catalog.load_table("ns.t")
    assert result.rewritten_files == 6
    assert len(data_files(after)) == 3
    assert sorted(after.scan().to_arrow()["n"].to_pylist()) == [*range(60), 100, 100, 101, 101]
    assert sum(content(after).values()) == 64
    assert stored(table) == needed(after)


def test_d14_rows_that_are_deleted_meanwhile_stay_deleted(catalog: Catalog, tmp_path: Path) -> None:
    table = small_table(catalog)
    paths = [one.file_path for one in live(table)]

    result = compacted_while(catalog, tmp_path, [lambda: delete_positions(catalog, "ns.t", {paths[2]: [4]})])

    after = catalog.load_table("ns.t")
    assert (result.rewritten_files, result.applied_deletes) == (6, 1)
    assert len(data_files(after)) == 1
    assert sum(content(after).values()) == after.scan().to_arrow().num_rows == 59
    assert stored(table) == needed(after)


def test_d14_files_that_are_replaced_meanwhile_are_not_brought_back(catalog: Catalog, tmp_path: Path) -> None:
    table = small_table(catalog)

    result = compacted_while(catalog, tmp_path, [lambda: catalog.load_table("ns.t").delete("n = 15 or n = 25")])

    after = catalog.load_table("ns.t")
    assert result.applied_deletes == 0
    assert sorted(after.scan().to_arrow()["n"].to_pylist()) == [one for one in range(60) if one not in (15, 25)]
    assert stored(table) == needed(after)


def test_d14_only_the_group_that_was_touched_is_done_again(catalog: Catalog, tmp_path: Path) -> None:
    table = small_table(catalog, 0)
    with table.update_spec() as spec:
        spec.add_identity("s")
    for number in range(6):
        table.append(pa.table({"n": [number] * 2, "s": ["a", "b"]}, schema=SCHEMA))
    seen: list[list[str]] = []

    def delete() -> None:
        [path] = [one.file_path for one in live(catalog.load_table("ns.t")) if "s=a" in one.file_path][:1]
        seen.append([str(one) for one in stored(table) if one.suffix == ".parquet"])
        delete_positions(catalog, "ns.t", {path: [0]})

    result = compacted_while(catalog, tmp_path, [delete])

    after = catalog.load_table("ns.t")
    assert (result.rewritten_files, result.new_files, result.applied_deletes) == (12, 2, 1)
    assert sum(content(after).values()) == 11
    kept = [str(one) for one in data_files(after)]
    assert [one in seen[0] for one in sorted(kept, key=lambda one: "s=a" in one)] == [True, False]
    assert stored(table) == needed(after)


def test_d14_a_compaction_that_is_always_overtaken_gives_up_and_leaves_nothing(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drls_dagster.maintenance.compact import running

    monkeypatch.setattr(running, "ATTEMPTS", 2)
    table = small_table(catalog)

    def append() -> None:
        catalog.load_table("ns.t").append(rows(100))

    with pytest.raises(CommitConflictError, match="nothing was changed"):
        compacted_while(catalog, tmp_path, [append, append])

    after = catalog.load_table("ns.t")
    assert len(data_files(after)) == 8
    assert stored(table) == needed(after)


def test_an_unknown_outcome_removes_nothing(catalog: Catalog, tmp_path: Path) -> None:
    table = small_table(catalog)
    before = content(table)
    made = work(catalog, table, tmp_path)
    publish = made.publish

    def lost(*given: Any) -> Table:
        publish(*given)
        raise ConnectionError("no answer came")

    made.publish = lost
    with pytest.raises(ConnectionError):
        compact.execute(made, CompactOptions())

    assert content(catalog.load_table("ns.t")) == before
    again, after = compacted(catalog, "ns.t", tmp_path)
    assert again.rewritten_files == 0
    assert content(after) == before
    assert stored(after) == needed(after)


CHILD = """
import os, signal, sys
from pathlib import Path
from drls_dagster.maintenance import compact
from lifecycle.domain.operations import CompactOptions
from tests.drls_dagster.maintenance.compacting import lake, work

folder, where, strategy = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
catalog = lake(folder)
table = catalog.load_table("ns.t")
made = work(catalog, table, folder)
note, publish, settle = made.journal.note, made.publish, made.journal.settle

def die():
    os.kill(os.getpid(), signal.SIGKILL)

count = [0]
def noted(kind, **facts):
    found = note(kind, **facts)
    count[0] += 1
    if where == f"note {count[0]}":
        die()
    return found

def published(*given):
    if where == "before the commit":
        die()
    found = publish(*given)
    if where == "after the commit":
        die()
    return found

made.journal.note, made.publish = noted, published
options = CompactOptions(strategy=strategy, columns=("n",) if strategy == "sort" else (), target_bytes=1_000_000)
compact.execute(made, options)
print("done", count[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "where", ["note 1", "note 2", "note 3", "note 4", "note 5", "before the commit", "after the commit"]
)
@pytest.mark.parametrize("strategy", ["binpack", "sort"])
def test_kill_9_leaves_a_readable_table_and_the_next_run_leaves_nothing_behind(
    catalog: Catalog, tmp_path: Path, where: str, strategy: str
) -> None:
    table = small_table(catalog)
    before = content(table)
    command = [sys.executable, "-c", CHILD, str(tmp_path), where, strategy]
    ended = subprocess.run(command, cwd=Path(__file__).parents[3], env={**os.environ}, check=False, timeout=300)
    assert ended.returncode in (-signal.SIGKILL, 0)

    killed = catalog.load_table("ns.t")
    assert content(killed) == before
    assert needed(killed) <= stored(killed)
    options = {"strategy": strategy, "columns": ("n",) if strategy == "sort" else (), "target_bytes": 1_000_000}
    compacted(catalog, "ns.t", tmp_path, **options)

    after = catalog.load_table("ns.t")
    assert content(after) == before
    assert len(data_files(after)) == 1
    assert stored(after) == needed(after)
    assert not list((tmp_path / "home").rglob("*.arrow"))


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("delete"), st.integers(0, 40)),
        st.tuples(st.just("positions"), st.integers(0, 1_000)),
        st.tuples(st.just("equal"), st.integers(0, 1_000)),
        st.tuples(st.just("branch"), st.just(0)),
        st.tuples(st.just("column"), st.just(0)),
        st.tuples(st.just("rename"), st.just(0)),
        st.tuples(st.just("spec"), st.sampled_from(["n", "s"])),
        st.tuples(st.just("compact"), st.sampled_from(["binpack", "sort", "zorder"])),
    ),
    min_size=3,
    max_size=12,
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Delete operation did not match any records")
@given(acts=ACTS)
@hypothesis_settings(max_examples=15)
def test_whatever_happened_to_a_table_every_ref_keeps_its_rows(
    acts: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("history")
    catalog = lake(folder)
    small_table(catalog, 1)
    for number, (act, value) in enumerate([*acts, ("compact", "binpack")]):
        happened(catalog, folder, number, act, value)


def happened(catalog: Catalog, folder: Path, number: int, act: str, value: Any) -> None:
    table = catalog.load_table("ns.t")
    paths = [one.file_path for one in live(table)]
    first = table.schema().fields[0].name
    if act == "append":
        for _ in range(value):
            given_rows = {first: [number, None, value], "s": ["x", None, str(number)]}
            table.append(pa.table(given_rows, schema=pa.schema([(first, pa.int64()), ("s", pa.string())])))
    elif act == "delete" and 2 not in table.inspect.delete_files()["content"].to_pylist():
        # PyIceberg itself deletes no rows where equality deletes lie.
        table.delete(f"{first} = {value}")
    elif act == "positions" and paths:
        delete_positions(catalog, "ns.t", {sorted(paths)[value % len(paths)]: [value % 3]})
    elif act == "equal" and paths:
        [like] = [one for one in live(table) if one.file_path == sorted(paths)[value % len(paths)]]
        names = [(first,), ("s",), (first, "s")][value % 3]
        one_row = pa.table({first: [None if value % 5 == 0 else value % 20], "s": [None if value % 7 == 0 else "x"]})
        types = {first: pa.int64(), "s": pa.string()}
        gone = one_row.cast(pa.schema([(name, types[name]) for name in (first, "s")])).select(names)
        delete_equal(catalog, "ns.t", gone, like if value % 2 else None)
    elif act == "branch":
        refs.create_branch(catalog, table, f"b{number}", refs.head(table, "main") or 0)
    elif act == "column":
        with table.update_schema() as update:
            update.add_column(f"c{number}", table.schema().find_type(first))
    elif act == "rename":
        with table.update_schema() as update:
            update.rename_column(first, f"n{number}")
    elif act == "spec":
        column = first if value == "n" else "s"
        if all(field.source_id != table.schema().find_field(column).field_id for field in table.spec().fields):
            with table.update_spec() as update:
                update.add_identity(column)
    elif act == "compact":
        columns = {"binpack": (), "sort": (first,), "zorder": (first, "s")}[value]
        known = {ref: content(table, ref) for ref in table.metadata.refs}
        for ref in known:
            compacted(catalog, "ns.t", folder, ref=ref, strategy=value, columns=columns, min_files=2)
        after = catalog.load_table("ns.t")
        assert {ref: content(after, ref) for ref in known} == known
        assert stored(after) == needed(after)
