"""A PostgreSQL that asks for a password, and an engine whose settings name it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from drls_dagster import settings
from drls_dagster.engine import client
from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.state import read_state
from tests.conftest import ONCE
from tests.postgres_server import running_postgres

HERE = Path(__file__).parent
CANARY = "kanarienvogel-7f3a"  # the password, which must be nowhere but where it is set

CONNECTIONS = """
[connections.shop]
driver = "postgresql"
url = "jdbc:postgresql://127.0.0.1:{port}/{name}"
user = "reader"
password = "file:{password}"

[connections.wrong]
driver = "postgresql"
url = "jdbc:postgresql://127.0.0.1:{port}/{name}"
user = "reader"
password = "file:{wrong}"

[connections.silent]
driver = "postgresql"
url = "jdbc:postgresql://127.0.0.1:1/{name}"
user = "reader"
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.postgres)


class Database:
    """The owner's own way into the database that pipelines read."""

    def __init__(self, url: str) -> None:
        self.port, self.name = url.rpartition(":")[2].split("/")
        self._connection = psycopg2.connect(host="127.0.0.1", port=int(self.port), user="drls", dbname=self.name)
        self._connection.autocommit = True

    def do(self, *statements: str) -> None:
        with self._connection.cursor() as cursor:
            for one in statements:
                cursor.execute(one)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    with running_postgres() as server:
        found = Database(server.fresh_database())
        ((hba,),) = found.ask("SHOW hba_file")
        lines = Path(hba).read_text()
        Path(hba).write_text(f"host all reader 127.0.0.1/32 scram-sha-256\n{lines}")
        found.do(
            f"CREATE ROLE reader LOGIN PASSWORD '{CANARY}'",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader",
            "SELECT pg_reload_conf()",
        )
        yield found
        found.close()


@pytest.fixture(scope="session")
def engine(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[settings.Settings]:
    """One for all tests here. DRLS_TEST_HOME names a home whose engine stays warm: for development."""
    kept = os.environ.get("DRLS_TEST_HOME")
    home = Path(kept) if kept else tmp_path_factory.mktemp("drls")
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "password").write_text(CANARY)
    (secrets / "wrong").write_text(f"not-{CANARY}")
    named = {"port": database.port, "name": database.name}
    text = CONNECTIONS.format(**named, password=secrets / "password", wrong=secrets / "wrong")
    (home / "drls.toml").write_text(text)
    settings._load.cache_clear()
    found = settings.load_settings(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", ONCE)
        client.ensure_engine(found)
        yield found
    if kept:
        for process in client._STARTED:
            process.returncode = 0  # it is meant to outlive this process, which would warn of that
        return
    state = read_state(found)
    client.stop(found, force=True)
    assert state is None or not processes_of(state.engine_id), "the engine left a process"
