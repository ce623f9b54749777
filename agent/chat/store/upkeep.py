"""What `drls db` does with the database of chats. It is found by name, because this package is above the commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from agent.chat.store.database import MIGRATIONS, NAMESPACE, chats_file
from drls_dagster.settings import Settings
from lifecycle.errors import StoreError
from lifecycle.store.companion import postgresql_of
from lifecycle.store.down import outages_of
from lifecycle.store.engine import is_sqlite, open_engine
from lifecycle.store.migrating import SchemaState
from lifecycle.store.schema import backup as write_backup
from lifecycle.store.schema import describe


def check_chats(settings: Settings) -> tuple[str, SchemaState]:
    """Where the chats are, and how their schema compares to this DRLS. Reads only.

    Raises StoreError for chats of a newer DRLS, and for damaged ones.
    """
    with _engine(settings) as engine:
        where = _where(engine)
        if _is_missing(engine):
            return where, SchemaState.EMPTY
        if is_sqlite(engine):
            with engine.connect() as connection:
                found = connection.execute(text("PRAGMA integrity_check")).scalars().all()
            if found != ["ok"]:
                raise StoreError(
                    f"the chats in {where} are damaged; restore a backup: {'; '.join(map(str, found[:3]))}"
                )
        return where, _known(engine)


def upgrade_chats(settings: Settings) -> tuple[str, SchemaState]:
    """Brings the chats up to date; where they are, and how they stood before. Without any, the first chat makes them.

    Raises StoreError for chats of a newer DRLS, and where the database's role may not make the schema.
    """
    with _engine(settings) as engine:
        where = _where(engine)
        if _is_missing(engine):
            return where, SchemaState.CURRENT
        before = _known(engine)
        if before is not SchemaState.CURRENT:
            MIGRATIONS.upgrade(engine)
        return where, before


def back_up_chats(settings: Settings, file: Path) -> Path | None:
    """Copies chats that lie in a file of their own to one next to `file`: lifecycle.db -> lifecycle-chats.db.

    None where there are none, or where the lifecycle's PostgreSQL database, and so its backup, has them.
    """
    with _engine(settings) as engine:
        if not is_sqlite(engine) or _is_missing(engine):
            return None
        beside = file.with_name(f"{file.stem}-chats{file.suffix}")
        write_backup(engine, beside)
        return beside


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(postgresql_of(settings.lifecycle.url) or f"sqlite:///{chats_file(settings)}")
    try:
        with outages_of(engine):
            yield engine
    except DatabaseError as error:
        raise StoreError(f"cannot read the chats in {_where(engine)}: {error.orig}") from None
    finally:
        engine.dispose()


def _where(engine: Engine) -> str:
    return describe(engine) if is_sqlite(engine) else f"schema {NAMESPACE} of {describe(engine)}"


def _is_missing(engine: Engine) -> bool:
    """Whether there is no file yet; asking SQLite would make it."""
    return is_sqlite(engine) and not Path(engine.url.database or "").exists()


def _known(engine: Engine) -> SchemaState:
    found = MIGRATIONS.state(engine)
    if found is SchemaState.NEWER:
        raise StoreError(f"the chats in {_where(engine)} were written by a newer DRLS; install that version")
    return found
