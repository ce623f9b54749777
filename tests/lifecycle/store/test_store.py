"""The store: transactions, immutability, migrations, backup, on both databases."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

import lifecycle.store.tables_people  # noqa: F401 (its tables are compared)
from lifecycle.audit import SigningKey, verify
from lifecycle.audit.chain import UNKNOWN_HEAD
from lifecycle.domain.people import system_actor
from lifecycle.errors import Conflict, NotFound, StoreError
from lifecycle.ports import SystemClock
from lifecycle.store.engine import open_engine
from lifecycle.store.schema import SchemaState, backup, schema_state, upgrade
from lifecycle.store.store import Store
from lifecycle.store.tables import Base
from tests.fakes.clock import FakeClock

ACTOR = system_actor("test")


def add_pipeline(store: Store, name: str) -> None:
    with store.write(ACTOR, "add") as unit:
        unit.pipelines.add(name, None)
        unit.audit("pipeline.added", f"pipeline:{name}")


def add_version(store: Store) -> None:
    with store.write(ACTOR, "add") as unit:
        pipeline = unit.pipelines.add("p", None)
        unit.pipelines.add_version(
            pipeline,
            ["ns.t"],
            digest="d",
            parent_id=None,
            spec="{}",
            message="",
            origin={},
            author=None,
            acted_for=None,
        )
        unit.audit("version.saved", "pipeline:p")


def test_a_unit_commits_all_or_nothing(store: Store) -> None:
    with pytest.raises(NotFound), store.write(ACTOR, "add") as unit:
        unit.pipelines.add("p", None)
        unit.audit("pipeline.added", "pipeline:p")
        unit.pipelines.named("other")
    with store.read() as view:
        assert view.pipelines.find("p") is None
        assert list(view.log.entries()) == []


def test_a_change_without_an_audit_event_does_not_commit(store: Store) -> None:
    with pytest.raises(RuntimeError, match="without an audit event"), store.write(ACTOR, "add") as unit:
        unit.pipelines.add("p", None)
    with store.read() as view:
        assert view.pipelines.find("p") is None


def test_reading_cannot_write(store: Store) -> None:
    with store.read() as view, pytest.raises(RuntimeError, match=r"Store\.write"):
        view.pipelines.add("p", None)


def test_a_key_answers_again_and_refuses_another_command(store: Store) -> None:
    def save(name: str) -> str:
        with store.write(ACTOR, "add", key="k", command={"name": name}) as unit:
            earlier = unit.earlier(type(unit.log.head()))
            if earlier is not None:
                return f"again {earlier.sequence}"
            unit.pipelines.add(name, None)
            unit.audit("pipeline.added", f"pipeline:{name}")
            return f"first {unit.remember(unit.log.head()).sequence}"

    assert [save("p"), save("p")] == ["first 0", "again 0"]
    with pytest.raises(Conflict, match="idempotency key"):
        save("q")


@pytest.mark.parametrize("table", ["version", "sink_table", "audit"])
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
def test_final_rows_refuse_update_and_delete(store: Store, table: str, verb: str) -> None:
    add_version(store)
    column = {"version": "message", "sink_table": "name", "audit": "verb"}[table]
    statement = f"UPDATE {table} SET {column} = 'x'" if verb == "UPDATE" else f"DELETE FROM {table}"
    with pytest.raises(DatabaseError, match="final"), store.engine.begin() as connection:
        connection.execute(text(statement))


def test_replacing_a_final_row_is_refused_too(store: Store) -> None:
    if store.engine.dialect.name != "sqlite":
        pytest.skip("INSERT OR REPLACE is SQLite's")
    add_version(store)
    with pytest.raises(DatabaseError, match="final"), store.engine.begin() as connection:
        connection.execute(text("REPLACE INTO sink_table (id, version_id, name) VALUES (1, 1, 'other')"))


def test_a_deployment_ends_but_is_never_rewritten(store: Store) -> None:
    add_version(store)
    with store.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO deployment (environment, pipeline_id, version_id, reason, label, deployed_digest,"
                " started_at) VALUES ('qa', 1, 1, 'r', 'free', 'd', '2026-01-01 00:00:00')"
            )
        )
        connection.execute(text("UPDATE deployment SET ended_at = '2026-01-02 00:00:00', ended_reason = 'x'"))
    for statement in ("UPDATE deployment SET label = 'approved'", "DELETE FROM deployment"):
        with pytest.raises(DatabaseError), store.engine.begin() as connection:
            connection.execute(text(statement))


def test_two_active_versions_are_impossible_in_the_database_itself(store: Store) -> None:
    add_version(store)
    row = (
        "INSERT INTO deployment (environment, pipeline_id, version_id, reason, label, deployed_digest,"
        " started_at) VALUES ('qa', 1, 1, 'r', 'free', 'd', '2026-01-01 00:00:00')"
    )
    with pytest.raises(DatabaseError), store.engine.begin() as connection:
        connection.execute(text(row))
        connection.execute(text(row))


def test_the_migrations_build_exactly_the_tables(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_an_empty_database_is_refused_with_the_command(empty_url: str, signing_key: SigningKey) -> None:
    with pytest.raises(StoreError, match="drls db upgrade"):
        Store.open(empty_url, signing_key, SystemClock())


def test_a_newer_database_is_refused(store: Store, store_url: str, signing_key: SigningKey) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from-the-future'"))
    with pytest.raises(StoreError, match="newer DRLS"):
        Store.open(store_url, signing_key, SystemClock())
    with pytest.raises(StoreError, match="newer DRLS"):
        upgrade(store.engine)


def test_upgrading_twice_changes_nothing(store: Store) -> None:
    add_pipeline(store, "p")
    upgrade(store.engine)
    assert schema_state(store.engine) is SchemaState.CURRENT
    with store.read() as view:
        assert view.pipelines.named("p").name == "p"


def test_a_backup_is_a_whole_store_and_never_overwrites(store: Store, tmp_path: Path, signing_key: SigningKey) -> None:
    add_pipeline(store, "p")
    file = tmp_path / "backup"
    backup(store.engine, file)
    with pytest.raises(StoreError, match="already exists"):
        backup(store.engine, file)
    if store.engine.dialect.name == "sqlite":
        copy = Store.open(f"sqlite:///{file}", signing_key, SystemClock())
        with copy.read() as view:
            assert view.pipelines.named("p").name == "p"
        copy.close()
    else:
        assert file.read_bytes().startswith(b"PGDMP")


def write_many(url: str, first: int, count: int) -> None:
    key = SigningKey.generate()
    store = Store(open_engine(url), key, SystemClock())
    for number in range(first, first + count):
        add_pipeline(store, f"p{number}")
    store.close()


@pytest.mark.slow
def test_a3_four_processes_writing_at_once_lose_nothing(store: Store, store_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=write_many, args=(store_url, 1000 * n, 50)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    with store.read() as view:
        assert len(view.pipelines.list(limit=1000)) == 200
        entries = list(view.log.entries())
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    # Each process signs with a key of its own here, so the log says where the key changed.
    assert len([entry for entry in entries if entry.verb != UNKNOWN_HEAD]) == 200


def test_a3_threads_keep_one_chain(store: Store) -> None:
    def work(first: int) -> None:
        for number in range(10):
            add_pipeline(store, f"p{first + number}")

    threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    keys = {store.signing_key.key_id: store.signing_key.public}
    with store.read() as view:
        assert verify(view.log.entries(), view.log.head(), keys).entries == 80
        assert verify(view.log.entries(), view.log.head(), keys).whole


def test_several_first_starts_make_one_store(empty_url: str, signing_key: SigningKey) -> None:
    made: list[Store] = []
    threads = [
        threading.Thread(target=lambda: made.append(Store.create(empty_url, signing_key, FakeClock())))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 4
    logs = set()
    for store in made:
        with store.read() as view:
            logs.add(view.log.head().log)
        store.close()
    assert len(logs) == 1


def test_a_new_file_opened_by_several_at_once_is_locked_for_none_of_them(tmp_path: Path) -> None:
    for number in range(40):  # while nobody waited for the switch to WAL, one round in twelve failed
        opened: list[object] = []
        together = threading.Barrier(8)

        def start(url: str, opened: list[object], together: threading.Barrier) -> None:
            together.wait(60)
            engine = open_engine(url)
            with engine.connect() as connection:
                opened.append(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
            engine.dispose()

        url = f"sqlite:///{tmp_path / f'{number}.db'}"
        threads = [threading.Thread(target=start, args=(url, opened, together)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert opened == ["wal"] * 8


def test_a3_what_was_acknowledged_survives_a_power_failure(tmp_path: Path) -> None:
    """In a process of its own: the tests themselves do not wait for the disk."""
    program = f"""
from lifecycle.store.engine import open_engine
with open_engine("sqlite:///{tmp_path / "x.db"}").connect() as connection:
    print(connection.exec_driver_sql("PRAGMA synchronous").scalar(), connection.exec_driver_sql("PRAGMA journal_mode").scalar())
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "2 wal\n"
