"""`drls db`: the databases of the lifecycle, of runs and of chats. Whoever owns their files needs no token here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drls_dagster.cli.lifecycle import adapters, checked_keys, own_public_key, welcome
from drls_dagster.cli.options import public_key_option
from drls_dagster.cli.output import json_option, print_json
from drls_dagster.errors import DrlsError
from drls_dagster.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from lifecycle.audit import Verdict

# Chats are above this package: they are found by name, where they are installed.
_CHATS = "agent.chat.store.upkeep"


@click.group()
def db() -> None:
    """Migrate, check and back up the databases of the lifecycle, of runs and of chats."""


@db.command()
@json_option
def upgrade(as_json: bool) -> None:
    """Upgrade the database to this DRLS's schema, creating it if necessary. Safe to repeat."""
    from drls_dagster.ledger import upgrade_ledger
    from drls_dagster.lifecycle_client.opening import make_store
    from lifecycle.store.schema import describe, schema_state

    settings = load_settings()
    with _engine() as engine:
        before = schema_state(engine)
        make_store(settings, adapters(), lambda started: welcome(settings, started))
        where = describe(engine)
    ledger, ledger_before = upgrade_ledger(settings)
    chats, chats_before = _chats().upgrade_chats(settings) if _chats() else (None, None)
    if as_json:
        runs = {"store": ledger, "before": ledger_before.value, "now": "current"}
        told: dict[str, object] = {"store": where, "before": before.value, "now": "current", "runs": runs}
        if chats_before:
            told["chats"] = {"store": chats, "before": chats_before.value, "now": "current"}
        print_json(told)
        return
    done = {"current": "is already up to date", "empty": "was created", "older": "was upgraded"}
    click.echo(f"{where} {done[before.value]}.")
    if ledger_before.value != "current":
        click.echo(f"The ledger of runs, {ledger}, {done[ledger_before.value]}.")
    if chats_before and chats_before.value != "current":
        click.echo(f"The database of chats, {chats}, {done[chats_before.value]}.")


@db.command()
@public_key_option
@json_option
def check(keys: tuple[str, ...], as_json: bool) -> None:
    """Check the database. It must exist, be intact, have this DRLS's schema, and match its audit log.

    Exits with 1 if not, and names every row that was changed outside DRLS.
    """
    from drls_dagster.ledger import check_ledger
    from lifecycle.store.engine import is_sqlite
    from lifecycle.store.schema import check_schema, describe

    with _engine() as engine:
        check_schema(engine)
        where = describe(engine)
        if is_sqlite(engine):
            _check_pages(engine)
        _check_code(engine)
        verdict = _check_rows(engine, keys)
    ledger, state = check_ledger(load_settings())
    chats, chats_state = _chats().check_chats(load_settings()) if _chats() else (None, None)
    if as_json:
        checked = {"store": where, "schema": "current", "entries": verdict.entries, "rows": verdict.rows}
        beside = {"chats": {"store": chats, "schema": chats_state.value}} if chats_state else {}
        print_json({**checked, "runs": {"store": ledger, "schema": state.value}, **beside})
        return
    as_left = f"its {verdict.rows} rows match the {verdict.entries} entries of its audit log"
    click.echo(f"{where} is intact, its schema is up to date, and {as_left}.")


@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def backup(file: Path, as_json: bool) -> None:
    """Write a consistent copy to FILE without interrupting anyone.

    Chats in a file of their own (DRLS_HOME/agent/chats.db) are copied next to FILE: to lifecycle-chats.db for
    lifecycle.db. To restore: stop everything, then put the files in place (SQLite) or run pg_restore (PostgreSQL). Back
    up the signing key and the token, which are next to the database, as well.
    """
    from lifecycle.store.schema import backup as write_backup
    from lifecycle.store.schema import check_schema

    with _engine() as engine:
        check_schema(engine)
        write_backup(engine, file)
    chats: Path | None = _chats().back_up_chats(load_settings(), file) if _chats() else None
    if as_json:
        beside = {"chats": {"file": chats, "bytes": chats.stat().st_size}} if chats else {}
        print_json({"file": file, "bytes": file.stat().st_size, **beside})
        return
    click.echo(f"Backed up to {file}." if chats is None else f"Backed up to {file}, and the chats to {chats}.")


def _chats() -> Any:
    """The module that knows the database of chats; None where it is not installed."""
    return import_module(_CHATS) if find_spec("agent") else None


@contextmanager
def _engine() -> Iterator[Engine]:
    from sqlalchemy.exc import DatabaseError

    from drls_dagster.lifecycle_client.opening import store_url
    from drls_dagster.private_home import private_home
    from lifecycle.store.engine import open_engine
    from lifecycle.store.schema import describe

    settings = load_settings()
    private_home(settings.home)
    engine = open_engine(store_url(settings))
    try:
        yield engine
    except DatabaseError as error:
        raise DrlsError(f"cannot read {describe(engine)}: {error.orig}") from None
    finally:
        engine.dispose()


def _check_code(engine: Engine) -> None:
    """Versions name their files by digest, so a changed one shows."""
    from sqlalchemy import select

    from lifecycle.spec import content_digest
    from lifecycle.store.tables import CodeFileRow

    with engine.connect() as connection:
        rows = connection.execute(select(CodeFileRow.digest, CodeFileRow.content)).yield_per(100)
        changed = [digest for digest, content in rows if content_digest(content) != digest]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise DrlsError(f"the code stored as {changed[0]}{more} was changed in the database; restore a backup")


def _check_rows(engine: Engine, keys: tuple[str, ...]) -> Verdict:
    """Raises DrlsError naming every entry and row that is not as it was written."""
    from drls_dagster.backups.verifying import verified

    return verified(engine, checked_keys([*keys, *own_public_key()]))


def _check_pages(engine: Engine) -> None:
    from sqlalchemy import text

    with engine.connect() as connection:
        found = connection.execute(text("PRAGMA integrity_check")).scalars().all()
    if found != ["ok"]:
        raise DrlsError(f"the database is damaged; restore a backup: {'; '.join(map(str, found[:3]))}")
