"""The database of chats: schema `drls_agent` of the lifecycle's PostgreSQL database, or DRLS_HOME/agent/chats.db."""

from __future__ import annotations

from pathlib import Path

from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings
from lifecycle.errors import StoreError
from lifecycle.store.companion import Companion, postgresql_of
from lifecycle.store.down import outages_of
from lifecycle.store.migrating import Migrations, SchemaState
from lifecycle.store.schema import describe

NAMESPACE = "drls_agent"
MIGRATIONS = Migrations(
    Path(__file__).parent / "migrations", lock=7_236_153, version_table="chats_version", namespace=NAMESPACE
)


def chats_url(settings: Settings) -> str:
    """Where the chats of a home are."""
    given = postgresql_of(settings.lifecycle.url)
    if given:
        return given
    private_home(settings.home, "agent")
    return f"sqlite:///{chats_file(settings)}"


def chats_file(settings: Settings) -> Path:
    """The file of the chats, unless PostgreSQL has them."""
    return settings.home / "agent" / "chats.db"


class Database(Companion):
    """The chats', of this DRLS's schema."""

    def __init__(self, settings: Settings) -> None:
        """Makes or migrates it. Raises StoreError for one that a newer DRLS wrote, or that does not answer."""
        super().__init__(chats_url(settings), MIGRATIONS)
        with outages_of(self._engine):
            found = MIGRATIONS.state(self._engine)
            if found is SchemaState.NEWER:
                told = describe(self._engine)
                raise StoreError(f"the chats in {told} were written by a newer DRLS; install that version")
            if found is not SchemaState.CURRENT:
                MIGRATIONS.upgrade(self._engine)
