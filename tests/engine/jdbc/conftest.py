"""A PostgreSQL that asks for a password, and an engine whose settings name it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import CANARY, Database

from drls_dagster import settings
from drls_dagster.private_home import private_home
from tests.postgres_server import running_postgres
from tests.running_engine import running_engine

HERE = Path(__file__).parent

VARIABLE = "SHOP_PASSWORD_OF_THE_TESTS"

CONNECTIONS = """
[engine.spark_conf]
"spark.eventLog.enabled" = "true"
"spark.eventLog.compress" = "false"
"spark.eventLog.dir" = "file://{events}"

[connections.shop]
driver = "postgresql"
url = "jdbc:postgresql://127.0.0.1:{port}/{name}"
user = "reader"
password = "env:{variable}"

[connections.operations]
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
    """One for all tests here."""
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "password").write_text(CANARY)
    (secrets / "wrong").write_text(f"not-{CANARY}")

    def prepare(home: Path) -> None:
        events = private_home(home, "engine") / "events"
        events.mkdir(exist_ok=True)
        named = {"port": database.port, "name": database.name, "events": events, "variable": VARIABLE}
        text = CONNECTIONS.format(**named, password=secrets / "password", wrong=secrets / "wrong")
        (home / "drls.toml").write_text(text)

    with running_engine(tmp_path_factory, prepare, **{VARIABLE: CANARY}) as found:
        yield found


@pytest.fixture
def orders(database: Database) -> str:
    """A table of 1,000 rows, made anew."""
    database.do(
        "DROP TABLE IF EXISTS orders",
        "CREATE TABLE orders (id bigint PRIMARY KEY, customer text, price numeric(12, 2), at timestamptz)",
        "INSERT INTO orders SELECT n, 'c' || n % 7, n * 1.25, timestamptz '2024-01-01 00:00Z' + n * interval '1 hour' "
        "FROM generate_series(1, 1000) n",
    )
    return "public.orders"
