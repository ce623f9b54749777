"""One suite on each kind of catalog that runs here: every operation on tables, with the content read by DuckDB."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from drls_dagster.cli.main import run
from drls_dagster.lakehouse.altering import IcebergEvolution
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.changes import read_changes
from drls_dagster.lakehouse.listing import of_others
from drls_dagster.lakehouse.reachable import normal
from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.maintenance import compact, expire, manifests, orphans
from drls_dagster.maintenance.publishing import Plainly
from drls_dagster.maintenance.work import Work
from drls_dagster.private_home import private_home
from drls_dagster.settings import load_settings
from lifecycle.domain.evolution import (
    AddColumn,
    AlterPartitions,
    AlterType,
    Change,
    ChangeFacts,
    DropColumn,
    DropRef,
    FastForward,
    MoveColumn,
    RenameColumn,
    RollBack,
    SetDoc,
    SetNullable,
    SetRef,
    SetSortOrder,
)
from lifecycle.domain.operations import CompactOptions, ExpireOptions, ManifestOptions, OrphanOptions
from lifecycle.domain.tables import Point, ReadLimits, StatisticsAsked, TableAt
from lifecycle.errors import Conflict, NotFound, Refused
from lifecycle.usecases.reconcile import reconcile
from tests.iceberg_tables import make_table
from tests.lifecycle.life import DAGSTER, PRODUCTION, Life
from tests.rest_catalog import running_rest_catalog
from tests.s3_server import KEY, SECRET, running_s3
from tests.table_operations import files_needed, files_there, work_on

ROWS = pa.table({"id": pa.array([1, 2], pa.int32()), "name": ["ada", "eve"]})
LIMITS = ReadLimits(rows=100, bytes=100_000, seconds=60, text=100)
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Server:
    """Where a kind of catalog is: settings by their environment variables, and the folder behind a bucket."""

    settings: dict[str, str]
    bucket: Path | None = None


@pytest.fixture(scope="module")
def on_s3(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    disk = tmp_path_factory.mktemp("s3")
    with running_s3(disk, "lake") as address:
        yield Server(
            {
                "DRLS_CATALOG__URI": postgres_url,
                "DRLS_CATALOG__WAREHOUSE": "s3://lake/warehouse",
                "DRLS_CATALOG__PROPERTIES": json.dumps(
                    {"s3.endpoint": f"http://{address}", "s3.access-key-id": KEY, "s3.region": "us-east-1"}
                ),
                "DRLS_CATALOG__SECRETS": json.dumps({"s3.secret-access-key": "env:LAB_SECRET"}),
                "LAB_SECRET": SECRET,
            },
            disk,
        )


@pytest.fixture(scope="module")
def postgres_url(postgres: Any) -> str:
    return postgres.fresh_database().replace("+psycopg2", "")


@pytest.fixture(scope="module")
def on_rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_rest_catalog(tmp_path_factory.mktemp("rest")) as url:
        yield Server({"DRLS_CATALOG__TYPE": "rest", "DRLS_CATALOG__URI": url})


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("on_s3", marks=pytest.mark.s3),
        pytest.param("on_rest", marks=pytest.mark.rest),
    ],
    autouse=True,
)
def server(request: pytest.FixtureRequest, drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """DRLS has a catalog of this kind. Its tables outlive a test, so that each test has names of its own."""
    found = Server({}) if request.param == "sqlite" else cast(Server, request.getfixturevalue(request.param))
    for name, value in found.settings.items():
        monkeypatch.setenv(name, value)
    private_home(drls_home)
    return found


def loaded(name: str) -> Table:
    return load_catalog().load_table(name)


def change(name: str, what: Change) -> ChangeFacts:
    evolution, at = IcebergEvolution(load_settings()), TableAt(name=name)
    facts = evolution.plan(at, what)
    evolution.apply(at, what, facts)
    return facts


def content(name: str, tmp_path: Path, ref: str = "main") -> list[Row]:
    """The rows at a ref in the order of files, of each column by its field id, as DuckDB reads copies of the files."""
    table = loaded(name)
    snapshot = table.snapshot_by_name(ref)
    assert snapshot is not None
    rows: list[Row] = []
    with duckdb.connect() as database:
        for manifest in snapshot.manifests(table.io):
            for entry in manifest.fetch_manifest_entry(table.io):
                assert entry.data_file.content == 0
                copy = tmp_path / "copy.parquet"
                with table.io.new_input(entry.data_file.file_path).open() as source:
                    copy.write_bytes(source.read())
                names = dict(
                    database.execute(
                        "SELECT field_id, name FROM parquet_schema(?) WHERE field_id > 0", [str(copy)]
                    ).fetchall()
                )
                columns = [
                    f'"{names[field.field_id]}"' if field.field_id in names else "NULL"
                    for field in table.schema().fields
                ]
                rows += database.execute(f"SELECT {', '.join(columns)} FROM read_parquet(?)", [str(copy)]).fetchall()
    return rows


def at_work(name: str) -> Work:
    """What an operation works with, and the way in which it publishes where nobody governs the table."""
    return replace(work_on(name), publish=Plainly(load_catalog()))


def own_files(name: str) -> set[str]:
    """The files in the table's folder, but for checksums that Hadoop keeps beside those that a server writes."""
    return {path for path in files_there(name) if not of_others(path)}


def data_files(name: str) -> int:
    return len(list(loaded(name).scan().plan_files()))


def test_tables_are_listed_described_and_read() -> None:
    name, tables = "lab.people", IcebergTables(load_settings())
    made, at = make_table(name, ROWS, ROWS), TableAt(name="lab.people")
    first, second = (one.snapshot_id for one in made.metadata.snapshots)
    assert name in tables.names()
    (summary,) = tables.summaries([name])
    assert (summary.rows, summary.data_files, summary.error) == (4, 2, None)
    found = tables.describe(at, None)
    assert (found.columns, found.snapshots, [one.name for one in found.refs]) == (2, 2, ["main"])
    assert [one.name for one in tables.schema(at, search="", after=0, limit=10).columns] == ["id", "name"]
    assert [one.snapshot for one in tables.history(at, None, None, 10)[0]] == [second, first]
    assert sorted(tables.preview(at, Point(), (), LIMITS).rows) == [(1, "ada"), (1, "ada"), (2, "eve"), (2, "eve")]
    assert sorted(tables.preview(at, Point(snapshot=first), (), LIMITS).rows) == [(1, "ada"), (2, "eve")]
    sql = "SELECT name, sum(id) FROM lab.people GROUP BY ALL ORDER BY ALL"
    answer = tables.query(sql, lambda _: None, None, None, LIMITS)
    assert [tuple(map(str, row)) for row in answer.rows] == [("ada", "2"), ("eve", "4")]
    ids, names = tables.statistics(
        at, Point(), StatisticsAsked(columns=(), after=0, most=10, top=0, quick=False), LIMITS
    ).columns
    assert ((ids.min, ids.max), (names.min, names.max)) == ((1, 2), ("ada", "eve"))
    health = tables.health(at, orphans=True)
    assert (health.data_file_count, health.snapshot_count) == (2, 2)
    with pytest.raises(NotFound):
        tables.describe(TableAt(name="lab.nothing"), None)


def test_files_are_packed_and_sorted(tmp_path: Path) -> None:
    name = "lab.packed"
    make_table(name, *({"id": [7 - number, number], "x": [number * 5 % 7, number]} for number in range(6)))
    before = sorted(content(name, tmp_path))
    done = compact.execute(at_work(name), CompactOptions())
    assert (done.rewritten_files, done.new_files) == (6, 1)
    assert sorted(content(name, tmp_path)) == before
    compact.execute(at_work(name), CompactOptions(strategy="sort", columns=("x", "id"), all=True))
    assert content(name, tmp_path) == sorted(before, key=lambda row: (row[1], row[0]))
    compact.execute(at_work(name), CompactOptions(strategy="zorder", columns=("id", "x"), all=True))
    assert sorted(content(name, tmp_path)) == before
    assert [one.summary.operation.value for one in loaded(name).snapshots()[-3:]] == ["replace"] * 3
    assert data_files(name) == 1


def test_manifests_snapshots_and_orphans_go_when_nothing_needs_them(server: Server, tmp_path: Path) -> None:
    name = "lab.tidied"
    table = make_table(name, *({"id": [number]} for number in range(4)))
    table.overwrite(pa.table({"id": [7, 8]}))
    change(name, SetRef(ref="kept", type="tag", to=str(table.metadata.snapshots[1].snapshot_id)))
    table.append(pa.table({"id": [9]}))
    assert manifests.execute(at_work(name), ManifestOptions()).new_manifests == 1
    gone = expire.execute(at_work(name), ExpireOptions(retain_last=1))
    assert gone.remaining_count == 2
    assert gone.deleted_bytes > 0
    assert sorted(content(name, tmp_path, "kept")) == [(0,), (1,)]
    orphan = f"{loaded(name).location()}/data/orphan.parquet"
    with loaded(name).io.new_output(orphan).create() as out:
        out.write(b"x" * 20)
    folder = Path(normal(loaded(name).location()).replace("s3:/", str(server.bucket), 1))
    for one in folder.rglob("*"):
        os.utime(one, (time.time() - 7 * 86_400,) * 2)
    listed = orphans.execute(at_work(name), OrphanOptions(older_than=timedelta(days=3)))
    assert listed.files == (normal(orphan),)
    done = orphans.execute(at_work(name), OrphanOptions(older_than=timedelta(days=3), dry_run=False))
    assert (done.orphan_count, done.removed_count, done.removed_bytes) == (1, 1, 20)
    assert own_files(name) == files_needed(name)
    assert sorted(content(name, tmp_path)) == [(7,), (8,), (9,)]


def test_a_table_is_vacuumed_from_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """By the process that operations run in."""
    name = "lab.vacuumed"
    make_table(name, *({"id": [number]} for number in range(6)))
    options = ("--retain-last", "1", "--json")
    assert run(("maintain", "vacuum", name, *options)) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["state"], done["result"]["compact"]["new_files"]) == ("done", 1)
    assert done["result"]["expire"]["remaining_count"] == 1
    assert own_files(name) == files_needed(name)
    assert sorted(content(name, tmp_path)) == [(number,) for number in range(6)]
    assert run(("maintain", "expire", "lab.nothing")) == 1
    assert "there is no table lab.nothing" in capsys.readouterr().err


def test_tables_are_evolved(tmp_path: Path) -> None:
    name = "lab.evolved"
    make_table(name, ROWS)
    for what in (
        AddColumn(column="address", type="struct<city:string>", first=True),
        AddColumn(column="address.zip", type="int"),
        RenameColumn(column="name", to="called"),
        AlterType(column="id", type="long"),
        SetNullable(column="id", nullable=False),
        SetDoc(column="called", doc="what people say"),
        DropColumn(column="address.city"),
        AlterPartitions(add=("bucket(4, id)", "called")),
        AlterPartitions(drop=("called",), add=("truncate(1, called)",)),
        SetSortOrder(sort_by=("called", "id desc")),
        SetSortOrder(sort_by=()),
        MoveColumn(column="address", after="called"),
    ):
        assert change(name, what).lines, what
    table = loaded(name)
    assert [field.name for field in table.schema().fields] == ["id", "called", "address"]
    assert [str(field.transform) for field in table.spec().fields] == ["bucket[4]", "truncate[1]"]
    assert content(name, tmp_path) == [(1, "ada", None), (2, "eve", None)]
    change(name, AlterPartitions(drop=("bucket(4, id)", "truncate(1, called)")))
    table = loaded(name)
    added = pa.table(
        {"id": pa.array([3], pa.int64()), "called": ["bob"], "address": [{"zip": 8001}]},
        schema=table.schema().as_arrow(),
    )
    table.append(added)
    compact.execute(at_work(name), CompactOptions(all=True, min_files=1))
    assert sorted(content(name, tmp_path), key=lambda row: row[0]) == [
        (1, "ada", None), (2, "eve", None), (3, "bob", {"zip": 8001}),
    ]  # fmt: skip


def test_refs_are_made_moved_and_dropped_and_branches_roll_back(tmp_path: Path) -> None:
    name = "lab.refs"
    made = make_table(name, ROWS, ROWS)
    first, second = (one.snapshot_id for one in made.metadata.snapshots)
    change(name, SetRef(ref="kept", type="tag", to=str(first), max_ref_age_ms=10**9))
    change(name, SetRef(ref="trial", type="branch", min_snapshots=3))
    loaded(name).append(ROWS, branch="trial")
    head = loaded(name).metadata.refs["trial"].snapshot_id
    with pytest.raises(Refused, match="is not an ancestor of main"):
        change(name, RollBack(to="trial"))
    change(name, FastForward(ref="main", to="trial"))
    assert len(content(name, tmp_path)) == 6
    facts = change(name, RollBack(to="kept"))
    assert (facts.base, facts.to, facts.undone) == (head, first, (head, second))
    assert content(name, tmp_path) == [(1, "ada"), (2, "eve")]
    change(name, DropRef(ref="trial"))
    refs = loaded(name).metadata.refs
    assert {ref: one.snapshot_id for ref, one in refs.items()} == {"main": first, "kept": first}
    assert refs["kept"].max_ref_age_ms == 10**9


def test_a_moved_ref_is_left_alone(tmp_path: Path) -> None:
    name = "lab.moved"
    made = make_table(name, ROWS, ROWS)
    evolution, what = IcebergEvolution(load_settings()), RollBack(to=str(made.metadata.snapshots[0].snapshot_id))
    facts = evolution.plan(TableAt(name=name), what)
    loaded(name).append(ROWS)
    with pytest.raises(Conflict, match="changed meanwhile"):
        evolution.apply(TableAt(name=name), what, facts)
    assert len(content(name, tmp_path)) == 6


def test_snapshots_are_compared() -> None:
    name = "lab.compared"
    make_table(name, ROWS)
    change(name, AddColumn(column="age", type="int"))
    loaded(name).append(ROWS.append_column("age", pa.array([1, 2], pa.int32())))
    found = IcebergEvolution(load_settings()).difference(TableAt(name=name), None, "main")
    assert (found.relation, found.steps, found.added.rows, found.kept_files) == ("descendant", 1, 2, 1)
    assert [one.words for one in found.schema_changes] == ["column age int is new"]


def test_changes_are_read_once_each_and_a_compaction_is_none() -> None:
    name = "lab.followed"
    table = make_table(name, ROWS)
    start = table.metadata.current_snapshot_id
    table.overwrite(pa.table({"id": pa.array([2, 3], pa.int32()), "name": ["eva", "bob"]}))
    compact.execute(at_work(name), CompactOptions(all=True, min_files=1))
    loaded(name).append(ROWS)
    fields = ("_change_type", "id", "name")
    found = read_changes(loaded(name), start, keys=("id",)).read_all().select(fields).to_pylist()
    assert sorted(tuple(one.values()) for one in found) == [
        ("delete", 1, "ada"), ("delete", 2, "eve"),
        ("insert", 1, "ada"), ("insert", 2, "eva"), ("insert", 2, "eve"), ("insert", 3, "bob"),
    ]  # fmt: skip
    end = loaded(name).metadata.current_snapshot_id
    assert read_changes(loaded(name), end).read_all().num_rows == 0


def test_what_is_deployed_is_compacted_under_a_permit_and_rolled_back(life: Life, tmp_path: Path) -> None:
    """Runs, promotions, evidence and undoing them, on this catalog."""
    name = "flights.daily"
    catalog = load_catalog()
    if catalog.table_exists(name):
        catalog.purge_table(name)
    life.to_production(life.save())
    rows = sorted(content(name, tmp_path))
    assert rows
    life.compact(name)
    assert reconcile(life.ctx, DAGSTER).drifts == ()
    assert sorted(content(name, tmp_path)) == rows
    loaded(name).append(loaded(name).scan().to_arrow())
    assert [one.table_name for one in reconcile(life.ctx, DAGSTER).drifts] == [name]
    assert life.active(PRODUCTION) is not None


def test_writers_lose_nothing_to_changes_and_operations(tmp_path: Path) -> None:
    name = "lab.busy"
    make_table(name, ROWS, ROWS)
    appends = 6

    def append() -> None:
        for _ in range(appends):
            retried(lambda: load_catalog().load_table(name).append(ROWS))

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(append)
        for number in range(2):
            change(name, AddColumn(column=f"c{number}", type="int"))
            compact.execute(at_work(name), CompactOptions(all=True, min_files=1))
            manifests.execute(at_work(name), ManifestOptions())
        writing.result()
    compact.execute(at_work(name), CompactOptions(all=True, min_files=1))
    expire.execute(at_work(name), ExpireOptions(retain_last=1))
    assert sorted(content(name, tmp_path)) == sorted([(1, "ada", None, None), (2, "eve", None, None)] * (2 + appends))
    assert files_needed(name) <= own_files(name)


def retried(act: Callable[[], Any]) -> None:
    for _ in range(50):
        try:
            act()
        except CommitFailedException:
            continue
        return
    raise AssertionError("others were faster 50 times")


def test_two_first_appends_on_an_empty_table_do_not_both_win(tmp_path: Path) -> None:
    """What Nessie 0.99 got wrong: it lost an acknowledged append."""
    name = "lab.empty"
    make_table(name, ROWS.slice(0, 0))
    one, other = (loaded(name) for _ in range(2))
    one.append(ROWS)
    won = 1
    try:
        other.append(ROWS)
        won += 1
    except CommitFailedException:
        assert won == 1
    assert content(name, tmp_path) == [(1, "ada"), (2, "eve")] * won
