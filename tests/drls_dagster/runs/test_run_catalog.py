"""What a run does to tables goes through the run service, which lets it change its own tables and branches only."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import LongType, NestedField, StringType

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.locating import look_at
from drls_dagster.lakehouse.prepare import OWNER, Prepared, prepare_table, take_over
from drls_dagster.lakehouse.rebuild import REBUILD, put_back
from drls_dagster.lakehouse.separate import SEPARATE, GoesSeparate, may_reshape
from drls_dagster.ledger import Ledger, open_ledger
from drls_dagster.runs.catalog import RunCatalog
from drls_dagster.runs.run_tables import RunTables
from drls_dagster.runs.table_policy import TablePolicy
from drls_dagster.settings import CatalogSettings, Settings, load_settings
from lifecycle.domain.environment import Environment
from lifecycle.errors import Forbidden
from lifecycle.spec import PipelineSpec, SinkNode
from tests.fakes.forbidden_updates import BEYOND, FORBIDDEN, newest
from tests.postgres_server import PostgresServer, running_postgres
from tests.s3_server import KEY, SECRET, running_s3

DEVELOPMENT, QA, UAT, PRODUCTION = Environment
RUN = "0123456789abcdef"
ROWS = pa.schema([("id", pa.int64())])


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def home(request: pytest.FixtureRequest, drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home whose catalog is in SQLite or PostgreSQL."""
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("database")
        url = server.fresh_database().replace("postgresql+psycopg2", "postgresql")
        monkeypatch.setenv("DRLS_CATALOG__URI", url)
    return load_settings(drls_home)


def spec_of(**sink: Any) -> PipelineSpec:
    nodes = [
        {"id": "raw", "type": "source", "source": {"kind": "rate", "rows_per_second": 1}},
        {"id": "out", "type": "sink", "table": "shop.sales", "mode": "overwrite", **sink},
    ]
    data = {"format_version": 1, "name": "sales", "nodes": nodes, "edges": [{"from": "raw", "to": "out"}]}
    return PipelineSpec.model_validate(data)


@dataclass
class World:
    """The platform's catalog and ledger, and a run's way to them."""

    settings: Settings

    @property
    def catalog(self) -> Catalog:
        return load_catalog(self.settings)

    @property
    def ledger(self) -> Ledger:
        return open_ledger(self.settings)

    def policy(self, environment: Environment = PRODUCTION, spec: PipelineSpec | None = None) -> TablePolicy:
        return TablePolicy("sales", spec or spec_of(), environment, RUN, self.ledger.branches, lambda *_: False)

    def run(self, environment: Environment = PRODUCTION, **more: Any) -> RunCatalog:
        policy = replace(self.policy(environment), **more)
        return RunCatalog("lake", RunTables.of(self.settings, policy))

    def table(self, name: str = "shop.sales", owner: str | None = "sales") -> Table:
        """A table with a row, made by the platform."""
        namespace, _, _ = name.rpartition(".")
        self.catalog.create_namespace_if_not_exists(namespace)
        made = self.catalog.create_table(name, ROWS, properties={OWNER: owner} if owner else {})
        made.append(pa.table({"id": [1]}, ROWS))
        return made

    def branch(self, table: str = "shop.sales", run_id: str = RUN) -> str:
        """The name of a branch, noted as a run notes it."""
        branch = f"drls_run_{run_id[:8]}_{uuid.uuid4().hex[:8]}"
        self.ledger.open_branch(table, branch, run_id, "session", "engine")
        return branch


@pytest.fixture
def world(drls_home: Path) -> World:
    return World(load_settings(drls_home))


@pytest.fixture
def either(home: Settings) -> World:
    return World(home)


def prepared(world: World, run: RunCatalog, environment: Environment, spec: PipelineSpec, schema: Schema) -> Prepared:
    """As a sink prepares its table."""
    look = look_at(run, environment, "shop.sales")
    sink = cast(SinkNode, spec.node("out"))
    return prepare_table(run, look, sink, schema, "sales", free=may_reshape(environment, look.location))


def columns(*names: str, kind: Any = None) -> Schema:
    return Schema(*(NestedField(n, name, kind or LongType(), required=False) for n, name in enumerate(names, 1)))


# What runs do


def test_a_run_creates_its_table_and_lets_it_grow(either: World) -> None:
    spec = spec_of(properties={"write.parquet.compression-codec": "zstd"})
    run = either.run(spec=spec)
    made = prepared(either, run, PRODUCTION, spec, columns("id")).table
    assert made.metadata == either.catalog.load_table("shop.sales").metadata
    assert made.properties[OWNER] == "sales"
    grown = prepared(either, run, PRODUCTION, spec, columns("id", "name")).table
    assert [field.name for field in grown.schema().fields] == ["id", "name"]
    assert grown.metadata == either.catalog.load_table("shop.sales").metadata


def test_a_run_lays_its_table_out_anew_and_takes_back_a_rebuild_that_was_not_published(either: World) -> None:
    either.table()
    spec = spec_of(
        partition_by=["day"],
        sort_by=["id"],
        properties={"write.target-file-size-bytes": "1048576"},
        on_schema_change="rebuild",
    )
    run = either.run(spec=spec)
    laid_out = prepared(either, run, PRODUCTION, spec, columns("id", "day")).table
    assert [field.name for field in laid_out.spec().fields] == ["day"]
    assert laid_out.properties["write.target-file-size-bytes"] == "1048576"
    as_text = Schema(NestedField(1, "id", StringType(), required=False), columns("id", "day").find_field("day"))
    rebuilt = prepared(either, run, PRODUCTION, spec, as_text)
    assert rebuilt.rebuilt
    assert REBUILD in either.catalog.load_table("shop.sales").properties
    put_back(run, rebuilt.table)
    now = either.catalog.load_table("shop.sales")
    assert isinstance(now.schema().find_type("id"), LongType)
    assert REBUILD not in now.properties


@pytest.mark.parametrize("environment", [DEVELOPMENT, QA, PRODUCTION])
def test_a_run_makes_and_removes_a_branch_of_its_own(either: World, environment: Environment) -> None:
    name = "shop__development.sales" if environment is DEVELOPMENT else "shop.sales"
    head = refs.head(either.table(name), "main")
    assert head is not None
    run = either.run(environment)
    branch = either.branch(name)
    refs.create_branch(run, run.load_table(name), branch, head)
    assert refs.head(either.catalog.load_table(name), branch) == head
    with pytest.raises(refs.RefMoved, match=f"'{branch}' of {name} moved in the meantime"):
        refs.create_branch(run, run.load_table(name), branch, head)
    refs.drop_branch(run, run.load_table(name), branch)
    assert branch not in either.catalog.load_table(name).metadata.refs


def test_d13_a_run_removes_the_branch_of_a_dead_run(either: World) -> None:
    table = either.table()
    head = refs.head(table, "main")
    assert head is not None
    branch = either.branch(run_id="fedcba9876543210")
    refs.create_branch(either.catalog, table, branch, head)
    run = either.run()
    with pytest.raises(Forbidden, match="it removes its own branch, and those of dead runs"):
        refs.drop_branch(run, run.load_table("shop.sales"), branch)
    either.ledger.declare_dead("fedcba9876543210")
    refs.drop_branch(run, run.load_table("shop.sales"), branch)
    assert branch not in either.catalog.load_table("shop.sales").metadata.refs


def test_d10_a_qa_run_goes_to_a_separate_table(either: World) -> None:
    either.table()
    run, spec = either.run(QA), spec_of(on_schema_change="rebuild")
    with pytest.raises(GoesSeparate, match=r"it goes to shop__qa\.sales"):
        prepared(either, run, QA, spec, columns("id", kind=StringType()))
    made = either.catalog.load_table("shop__qa.sales").properties
    assert SEPARATE in made
    assert made[OWNER] == "sales"


def test_d11_a_run_takes_over_a_table_that_its_owner_gave_up(either: World) -> None:
    table = either.table(owner="before")
    run = either.run(gave_up=lambda owner, name: (owner, name) == ("before", "shop.sales"))
    assert take_over(run, run.load_table("shop.sales"), "sales").properties[OWNER] == "sales"
    assert table.refresh().properties[OWNER] == "sales"


def test_errors_that_a_run_counts_on_come_back_as_they_are(either: World) -> None:
    run = either.run()
    with pytest.raises(NoSuchTableError):
        run.load_table("shop.sales")
    assert not run.table_exists("shop.sales")
    either.table()
    assert run.table_exists("shop.sales")
    mine = {OWNER: "sales", refs.RELEASED: "false"}
    with pytest.raises(TableAlreadyExistsError):
        run.create_table("shop.sales", columns("id"), properties=mine)
    table = run.load_table("shop.sales")
    moved = refs.ref_is("main", 17)
    with pytest.raises(CommitFailedException, match="branch main has changed"):
        run.commit_table(table, (moved,), (refs.remove_ref(either.branch()),))


def test_a_draft_writes_what_is_developments_own(world: World) -> None:
    world.table("shop.sales")
    world.table("shop__development.foreign", owner="other")
    draft = world.run(DEVELOPMENT, spec=None)
    draft.create_namespace_if_not_exists("shop__development")
    mine = {OWNER: "sales", refs.RELEASED: "false", "write.target-file-size-bytes": "1048576"}
    made = draft.create_table("shop__development.mine", columns("id"), properties=mine)
    with made.update_schema() as update:
        update.add_column("name", StringType())
    assert world.catalog.load_table("shop__development.mine").schema().column_names == ["id", "name"]
    for name, told in (("shop.sales", "writes none there"), ("shop__development.foreign", "pipeline 'other' writes")):
        with pytest.raises(Forbidden, match=told), draft.load_table(name).update_schema() as update:
            update.add_column("name", StringType())


# What runs may not do


@pytest.mark.parametrize("environment", [QA, PRODUCTION])
def test_a_run_may_not_change_what_is_the_platforms(world: World, environment: Environment) -> None:
    before = world.table()
    run = world.run(environment)
    for what, make in FORBIDDEN.items():
        with pytest.raises(Forbidden, match=rf"^a run of sales in {environment.label} may not "):
            run.commit_table(run.load_table("shop.sales"), (), (make(before),))
        assert world.catalog.load_table("shop.sales").metadata == before.metadata, what


def test_d10_a_qa_run_may_not_change_a_real_table_beyond_optional_columns(world: World) -> None:
    before = world.table()
    run = world.run(QA)
    for what, make in BEYOND.items():
        with pytest.raises(Forbidden):
            run.commit_table(run.load_table("shop.sales"), (), (make(before),))
        assert world.catalog.load_table("shop.sales").metadata == before.metadata, what
    with run.load_table("shop.sales").update_schema() as update:
        update.add_column("name", StringType())
    assert world.catalog.load_table("shop.sales").schema().column_names == ["id", "name"]


def test_a_run_may_not_change_a_table_that_its_version_does_not_write(world: World) -> None:
    run = world.run(QA)
    for name in ("shop.other", "shop__development.sales", "shop__uat.sales", "other.sales"):
        before = world.table(name)
        assert run.load_table(name).metadata == before.metadata, "it may read it"
        branch = world.branch(name)
        told = rf"may not change table {name}; its version writes shop\.sales, shop__qa\.sales"
        with pytest.raises(Forbidden, match=told):
            refs.create_branch(run, run.load_table(name), branch, newest(before))
        with pytest.raises(Forbidden), run.load_table(name).update_schema() as update:
            update.add_column("name", StringType())
        assert world.catalog.load_table(name).metadata == before.metadata


def test_d11_a_run_may_not_change_or_take_another_pipelines_table(world: World) -> None:
    before = world.table(owner="other")
    run = world.run()
    with pytest.raises(Forbidden, match="which pipeline 'other' writes"):
        take_over(run, run.load_table("shop.sales"), "sales")
    with pytest.raises(Forbidden), run.load_table("shop.sales").update_schema() as update:
        update.add_column("name", StringType())
    assert world.catalog.load_table("shop.sales").metadata == before.metadata


def test_a_run_may_not_create_a_table_that_is_not_its_own(world: World) -> None:
    world.catalog.create_namespace_if_not_exists("shop")
    world.catalog.create_namespace_if_not_exists("other")
    wrong: list[tuple[str, dict[str, str]]] = [
        ("other.sales", {OWNER: "sales"}),
        ("shop.sales", {OWNER: "other"}),
        ("shop.sales", {OWNER: "sales", refs.RELEASED: "true"}),
        ("shop.sales", {}),
        ("shop.sales", {OWNER: "sales", "write.metadata.path": "file:///tmp"}),
        ("shop.sales", {OWNER: "sales", SEPARATE: "because"}),
    ]
    for name, given in wrong:
        with pytest.raises(Forbidden):
            world.run().create_table(name, columns("id"), properties=given)
        assert not world.catalog.table_exists(name)


def test_a_sink_may_not_say_where_the_platform_looks_for_files(world: World) -> None:
    spec = spec_of(properties={"write.metadata.path": "file:///tmp", "py-io-impl": "os.system"})
    with pytest.raises(Forbidden, match="with the property"):
        prepared(world, world.run(spec=spec), PRODUCTION, spec, columns("id"))


def test_a_run_may_do_nothing_else_with_the_catalog(world: World) -> None:
    world.table()
    run = world.run()
    for act in (
        lambda: run.drop_table("shop.sales"),
        lambda: run.purge_table("shop.sales"),
        lambda: run.rename_table("shop.sales", "shop.mine"),
        lambda: run.register_table("shop.mine", "file:///etc/passwd"),
        lambda: run.create_namespace("elsewhere"),
        run.list_namespaces,
    ):
        with pytest.raises(Forbidden):
            act()


# Files


def test_a_run_reads_local_metadata_itself_and_writes_none(world: World, tmp_path: Path) -> None:
    world.table().append(pa.table({"id": [2]}, ROWS))
    found = world.run().load_table("shop.sales")
    head = found.current_snapshot()
    assert head is not None
    assert len(head.manifests(found.io)) == 2
    assert refs.lineage(found, head.snapshot_id).complete
    with pytest.raises(Forbidden):
        found.io.new_output(str(tmp_path / "x"))
    with pytest.raises(Forbidden):
        found.io.delete(found.metadata_location)


def test_the_service_reads_no_file_of_its_machine_for_a_run(world: World) -> None:
    found = world.table()
    tables = RunTables.of(world.settings, world.policy())
    for location in (found.metadata_location, "/etc/passwd", "file:///etc/passwd"):
        with pytest.raises(Forbidden, match="reads the files of this machine itself"):
            tables.read_metadata(("shop", "sales"), location)
    for location in ("s3://elsewhere/metadata/v1.json", "https://elsewhere/x.json"):
        with pytest.raises(Forbidden, match=r"is not a metadata file of shop\.sales"):
            tables.read_metadata(("shop", "sales"), location)


@pytest.mark.s3
def test_a_run_reads_metadata_in_a_bucket_without_its_keys(
    drls_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_s3(tmp_path, "lake") as address:
        properties = {"s3.endpoint": f"http://{address}", "s3.access-key-id": KEY, "s3.region": "us-east-1"}
        secrets = {"s3.secret-access-key": "env:LAKE_SECRET"}
        catalog = CatalogSettings(warehouse="s3://lake/tables", properties=properties, secrets=secrets)
        monkeypatch.setenv("LAKE_SECRET", SECRET)
        world = World(Settings(home=drls_home, catalog=catalog))
        world.table().append(pa.table({"id": [2]}, ROWS))
        found = world.run().load_table("shop.sales")
        assert not found.io.properties
        head = found.current_snapshot()
        assert head is not None
        assert len(head.manifests(found.io)) == 2
        assert refs.lineage(found, head.snapshot_id).complete
        tables = RunTables.of(world.settings, world.policy())
        data = next(iter(world.catalog.load_table("shop.sales").scan().plan_files())).file.file_path
        for location in (data, f"{found.location()}/metadata/../data/x.avro", "s3://lake/other/metadata/x.avro"):
            with pytest.raises(Forbidden, match="is not a metadata file"):
                tables.read_metadata(("shop", "sales"), location)
