"""A store of an older DRLS goes on as it was, with what the newer one adds."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from lifecycle.store import schema
from lifecycle.store.engine import open_engine
from lifecycle.store.schema import SchemaState, schema_state, upgrade
from tests.lifecycle.life import QA, Life


def of_revision(url: str, revision: str) -> Engine:
    engine = open_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    with engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


def test_runs_from_before_have_no_outcome_and_get_none_by_the_migration(empty_url: str) -> None:
    engine = of_revision(empty_url, "0001")
    at = "2026-01-01 00:00:00"
    with engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
        for table, columns, values in (
            ("pipeline", "id, name, created_at", f"1, 'p', '{at}'"),
            (
                "version",
                "id, pipeline_id, number, digest, spec, message, origin, created_at",
                f"1, 1, 1, 'd', '{{}}', '', '{{}}', '{at}'",
            ),
            (
                "admission",
                "id, run_id, root_run_id, environment, pipeline_id, version_id, state, parameters, way_in, why, admitted_at",
                f"1, 'r', 'r', 'qa', 1, 1, 'finished', '{{}}', 'cli', '', '{at}'",
            ),
        ):
            connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"))
    assert schema_state(engine) is SchemaState.OLDER
    upgrade(engine)
    assert schema_state(engine) is SchemaState.CURRENT
    with engine.connect() as connection:
        assert connection.execute(text("SELECT run_id, state, outcome FROM admission")).all() == [
            ("r", "finished", None)
        ]
    engine.dispose()


def test_how_a_run_ended_is_said_once_and_stays(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    with life.store.engine.begin() as connection:
        connection.execute(text("UPDATE admission SET outcome = 'failed'"))
        connection.execute(text("UPDATE admission SET outcome = 'failed', why = 'again'"))
    for value in ("'succeeded'", "NULL"):
        with pytest.raises(DatabaseError, match="final"), life.store.engine.begin() as connection:
            connection.execute(text(f"UPDATE admission SET outcome = {value}"))


def test_l17_what_was_found_and_published_before_there_were_seals_stays(empty_url: str) -> None:
    engine = of_revision(empty_url, "0008")
    at = "2026-01-01 00:00:00"
    with engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
        for table, columns, values in (
            ("pipeline", "id, name, created_at", f"1, 'p', '{at}'"),
            (
                "drift",
                "id, environment, pipeline_id, table_name, ref, found, state, reason, found_at",
                f"1, 'production', 1, 'a.b', 'main', 7, 'open', '', '{at}'",
            ),
        ):
            connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"))
    upgrade(engine)
    assert schema_state(engine) is SchemaState.CURRENT
    with engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
        assert connection.execute(text("SELECT found, file, why, seal FROM drift")).all() == [(7, None, "", None)]
        assert connection.execute(text("SELECT count(*) FROM maintenance")).scalar_one() == 0
        connection.execute(text("INSERT INTO seal (id, root, content) VALUES (1, 'r', 'x')"))
    for statement in ("UPDATE seal SET root = 's'", "DELETE FROM seal"):
        with pytest.raises(DatabaseError, match="final"), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()
