"""docs/how-to/databases.md: its settings load, and its pipeline is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from drls_dagster.assets.compile import compile_pipeline
from drls_dagster.connections.databases import DATABASES
from drls_dagster.settings import load_settings
from drls_dagster.steps.sources.jdbc.statements import selected
from lifecycle.domain.environment import Environment
from lifecycle.spec import JdbcSource, parse_pipeline
from tests.docs.pages import HOW_TO, only_block

PAGE = (HOW_TO / "databases.md").read_text()


def test_its_connections_and_its_pipeline_fit_each_other(drls_home: Path) -> None:
    drls_home.mkdir(mode=0o700)
    (drls_home / "drls.toml").write_text(only_block(PAGE, "toml"))
    settings = load_settings(drls_home)
    spec = parse_pipeline(only_block(PAGE, "yaml"))
    for environment in Environment:
        assert compile_pipeline(spec, environment, settings)
        for node in spec.sources:
            assert isinstance(node.source, JdbcSource)
            connection = settings.connection_for(environment, node.source.connection)
            assert connection is not None
            assert selected(node.id, node.source.table, node.source.query, connection.database)


@pytest.mark.parametrize("name", DATABASES)
def test_it_shows_each_database_and_its_url(name: str) -> None:
    assert f"| `{name}` | `{DATABASES[name].example}` |" in PAGE
