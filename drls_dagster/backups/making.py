"""Making a backup while everything runs."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Engine, make_url
from sqlalchemy.exc import DatabaseError

from drls_dagster.backups.manifest import (
    CATALOG,
    CHATS,
    DUMP,
    FILE,
    LEDGER,
    PLACES,
    SECRETS,
    SETTINGS,
    STORE,
    AuditHead,
    Manifest,
    written,
)
from drls_dagster.backups.sqlite_files import copy, pinned
from drls_dagster.backups.verifying import head_of
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog_config import parse_sql_uri, resolve_catalog
from drls_dagster.lifecycle_client.opening import store_url
from drls_dagster.processes import process_is, started_at
from drls_dagster.settings import Settings
from lifecycle.private_files import write_private
from lifecycle.store.engine import is_sqlite, open_engine
from lifecycle.store.schema import backup as dump
from lifecycle.store.schema import check_schema, describe


def make_backup(settings: Settings, folder: Path) -> Manifest:
    """Writes a backup to `folder`, which is made; it is there when it is whole, and not before.

    Raises DrlsError where it is in use, or something to back up cannot be read.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DrlsError(f"{folder} already exists; name another folder for the backup")
    if folder.is_relative_to(settings.home.resolve()):
        raise DrlsError(f"{folder} is in DRLS_HOME and would be lost with it; name a folder elsewhere")
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}-{int(started_at(os.getpid()))}")
    engine = open_engine(_existing(settings))
    try:
        check_schema(engine)
        _clear(folder)
        partial.mkdir(mode=0o700, parents=True)
        manifest = _fill(settings, engine, partial)
        write_private(partial / FILE, manifest.model_dump_json(indent=2))
        partial.rename(folder)
        return manifest
    except DatabaseError as error:
        raise DrlsError(f"cannot read {describe(engine)}: {error.orig}") from None
    except OSError as error:
        why = error.strerror or error
        raise DrlsError(f"cannot write the backup to {folder}: {why}; name another folder") from None
    finally:
        engine.dispose()
        shutil.rmtree(partial, ignore_errors=True)


def _fill(settings: Settings, engine: Engine, to: Path) -> Manifest:
    head = head_of(engine)
    databases = _sqlite_databases(settings, engine)
    with pinned(databases, STORE) as opened:
        for name, connection in opened.items():
            copy(connection, to / name)
    if not is_sqlite(engine):
        dump(engine, to / DUMP)
    for name in (SETTINGS, *SECRETS):
        # Not all of them are there, and what is there stays as it is: each is written whole or not at all.
        with suppress(FileNotFoundError):
            write_private(to / name, (settings.home / PLACES[name]).read_bytes())
    outside = databases.get(CATALOG)
    return Manifest(
        drls=version("drls-dagster"),
        made_at=datetime.now(UTC),
        store="sqlite" if is_sqlite(engine) else "postgresql",
        catalog=_kind_of_catalog(settings, databases),
        catalog_file=None if outside is None or outside.is_relative_to(settings.home) else str(outside),
        audit=AuditHead(log=head.log, sequence=head.sequence, hash=head.hash),
        files={file.name: written(file) for file in sorted(to.iterdir())},
    )


def _sqlite_databases(settings: Settings, engine: Engine) -> dict[str, Path]:
    """Those that are there. The first one is the catalog: it is small, and who writes to it waits meanwhile."""
    found = {CATALOG: _catalog_file(settings)}
    if is_sqlite(engine):
        found |= {STORE: Path(engine.url.database or ""), LEDGER: settings.home / LEDGER}
        found[CHATS] = settings.home / PLACES[CHATS]
    return {name: file for name, file in found.items() if file is not None and file.is_file()}


def _kind_of_catalog(settings: Settings, databases: dict[str, Path]) -> str:
    if CATALOG in databases:
        return "sqlite"
    return "none" if _catalog_file(settings) is not None else settings.catalog.type


def _catalog_file(settings: Settings) -> Path | None:
    config = resolve_catalog(settings)
    if config.protocol != "sql" or config.uri is None:
        return None
    url = parse_sql_uri(config.uri)
    return Path(url.database or "").resolve() if url.drivername == "sqlite" else None


def _existing(settings: Settings) -> str:
    """The address of the store. Asking SQLite for one that is not there would make it."""
    url = store_url(settings)
    file = make_url(url).database
    if url.startswith("sqlite") and not (file and Path(file).is_file()):
        raise DrlsError(f"{settings.home} has no lifecycle yet, so there is nothing to back up; run: drls whoami")
    return url


def _clear(folder: Path) -> None:
    """Removes what killed backups to this folder left."""
    for left in folder.parent.glob(f".{folder.name}.partial-*-*"):
        pid, _, created = left.name.rpartition("partial-")[2].partition("-")
        if pid.isdigit() and created.isdigit() and not process_is(int(pid), int(created)):
            shutil.rmtree(left, ignore_errors=True)
