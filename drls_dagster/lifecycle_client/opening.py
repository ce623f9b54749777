"""Opening the lifecycle of a DRLS_HOME; the first start makes it (A1, L7)."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from sqlalchemy import Engine, make_url, select
from sqlalchemy.exc import OperationalError

from drls_dagster.fences.facts import fence_facts
from drls_dagster.kept_tokens import refuse_to_replace, started
from drls_dagster.lifecycle_client.adapters import Adapters
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings
from lifecycle.audit import load_signing_key
from lifecycle.errors import StoreError
from lifecycle.store.engine import open_engine
from lifecycle.store.schema import SchemaState, describe, schema_state
from lifecycle.store.store import Store
from lifecycle.store.tables_people import PersonRow
from lifecycle.usecases.context import Context
from lifecycle.usecases.first_start import FirstStart, first_start
from lifecycle.usecases.parts.comparisons import Comparisons


class NoLifecycleYet(StoreError):
    """Nobody has used the lifecycle of this home: nothing is saved, nothing is deployed."""


def store_url(settings: Settings) -> str:
    """Where the store is; SQLite at DRLS_HOME/lifecycle.db unless the settings say otherwise."""
    return settings.lifecycle.url or f"sqlite:///{settings.home / 'lifecycle.db'}"


def signing_key_file(settings: Settings) -> Path:
    """The private key that signs the audit head and bundles."""
    return settings.home / "signing-key.pem"


def open_context(settings: Settings, adapters: Adapters, welcome: Callable[[FirstStart], None]) -> Context:
    """The store with its ports. Where there is no store yet it is made, and `welcome` keeps the Admin's token.

    Raises StoreError for a store of another DRLS.
    """
    private_home(settings.home)
    with _store(settings, adapters) as store:
        if _is_new(store.engine):
            # Who comes second must find the token, not only the store.
            with FileLock(settings.home / "lifecycle.lock"):
                make_store(settings, adapters, welcome)
        store.check_schema()
    return _context(store, adapters, settings)


def open_existing(settings: Settings, adapters: Adapters) -> Context:
    """Like `open_context`, but makes nothing. Raises NoLifecycleYet where nobody has made the store."""
    url = store_url(settings)
    file = make_url(url).database if url.startswith("sqlite") else None
    none = NoLifecycleYet(f"{settings.home} has no lifecycle yet; run: drls whoami")
    # Asking SQLite would make the file.
    if file is not None and not Path(file).exists():
        raise none
    with _store(settings, adapters) as store:
        if _is_new(store.engine):
            raise none
        store.check_schema()
    return _context(store, adapters, settings)


def make_store(settings: Settings, adapters: Adapters, welcome: Callable[[FirstStart], None]) -> None:
    """Makes or migrates the store; safe to repeat, and for several at once."""
    private_home(settings.home)
    engine = open_engine(store_url(settings))
    try:
        new = _is_new(engine)
    finally:
        engine.dispose()
    if new:
        refuse_to_replace(settings)
    key = load_signing_key(signing_key_file(settings))
    store = Store.create(store_url(settings), key, adapters.clock)
    try:
        first_start(_context(store, adapters, settings), welcome, os_user=os_user())
    finally:
        store.close()
    if new:
        started(settings)


def os_user() -> str:
    """The user of the operating system, for the audit log (A4)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def host() -> str:
    """This machine, for the audit log (A4)."""
    return socket.gethostname()


@contextmanager
def _store(settings: Settings, adapters: Adapters) -> Iterator[Store]:
    """The store of a home, whatever its schema. It stays open, unless an error ends the block."""
    key = load_signing_key(signing_key_file(settings))
    store = Store(open_engine(store_url(settings)), key, adapters.clock)
    try:
        yield store
    except BaseException:
        store.close()
        raise


def _is_new(engine: Engine) -> bool:
    """Whether there is no store yet, or one whose first start was interrupted."""
    try:
        match schema_state(engine):
            case SchemaState.EMPTY:
                return True
            case SchemaState.CURRENT:
                with engine.connect() as connection:
                    return connection.execute(select(PersonRow.id).limit(1)).first() is None
            case _:
                return False
    except OperationalError as error:
        raise StoreError(f"cannot open {describe(engine)}: {error.orig}") from None


def _context(store: Store, adapters: Adapters, settings: Settings) -> Context:
    return Context(
        store,
        adapters.plane,
        adapters.orchestrator,
        adapters.clock,
        executor=f"drls-{host()}-{os.getpid()}-{secrets.token_hex(4)}",
        passwords=adapters.passwords,
        comparisons=Comparisons(settings.data_diff.limits, settings.home / "data-diff"),
        fence=lambda: fence_facts(settings),
        tables=adapters.tables,
        maintenance=adapters.maintenance,
        evolution=adapters.evolution,
        notebooks=adapters.notebooks,
    )
