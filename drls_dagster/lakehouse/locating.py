"""Where a version's table is in an environment, and one look at it.

A look does not follow later commits. Whoever needs the newest state takes another one and says why (`Reread`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

from drls_dagster.lakehouse.naming import TableLocation, separate_location, table_location
from drls_dagster.lakehouse.refs import head, read_head
from drls_dagster.lakehouse.reread import Reread, note_reread
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table


class Loads(Protocol):
    """Whatever loads tables: a catalog, or one look at it."""

    def load_table(self, identifier: tuple[str, ...], /) -> Table: ...


class OneLook:
    """Tables of a catalog, each as it was when it was first asked for: also one that was not there."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], Table | None] = {}

    def at(self, catalog: Loads) -> Loads:
        """The look, with where to load what it has not seen yet."""
        return _Looking(catalog, self._found)


@dataclass(frozen=True)
class _Looking:
    catalog: Loads
    found: dict[tuple[str, ...], Table | None]

    def load_table(self, identifier: tuple[str, ...], /) -> Table:
        if identifier not in self.found:
            self.found[identifier] = load_if_exists(self.catalog, identifier)
        table = self.found[identifier]
        if table is None:
            raise NoSuchTableError(f"Table does not exist: {'.'.join(identifier)}")
        return table


@dataclass(frozen=True)
class TableLook:
    """A sink's table as one look found it; `table` is None where it is not there yet.

    `own` is the head of the environment's own ref, `read` what a read sees: the same, or that of `main`.
    """

    location: TableLocation
    table: Table | None
    own: int | None
    read: int | None

    @classmethod
    def of(cls, location: TableLocation, table: Table | None) -> TableLook:
        """A look at a table that was loaded just now."""
        if table is None:
            return cls(location, None, None, None)
        return cls(location, table, head(table, location.ref), read_head(table, location.ref))

    def again(self, catalog: Catalog, why: Reread) -> TableLook:
        """A new look at the same place."""
        note_reread(self.location.identifier, why)
        return self.of(self.location, load_if_exists(catalog, self.location.identifier))

    def has_moved(self, since: TableLook) -> bool:
        """Whether a ref is not where it was, or the table is another one."""
        made_anew = since.table is not None and (
            self.table is None or self.table.metadata.table_uuid != since.table.metadata.table_uuid
        )
        return made_anew or (self.own, self.read) != (since.own, since.read)


def look_at(catalog: Loads, environment: Environment, table: str) -> TableLook:
    """A look at `table` (`namespace.table`) where it is in `environment` now: its separate table, else the real one."""
    own = separate_location(environment, table)
    found = load_if_exists(catalog, own.identifier) if own else None
    if own is not None and found is not None:
        return TableLook.of(own, found)
    real = table_location(environment, table)
    return TableLook.of(real, load_if_exists(catalog, real.identifier))


def find(catalog: Loads, environment: Environment, table: str) -> tuple[TableLocation, Table | None]:
    """Where `table` (`namespace.table`) is in `environment` now, and the table; None where it is not there yet."""
    found = look_at(catalog, environment, table)
    return found.location, found.table


def locate(catalog: Loads, environment: Environment, table: str) -> TableLocation:
    """Where `table` is in `environment`: its separate table where there is one, else as `table_location` says."""
    own = separate_location(environment, table)
    if own is not None and load_if_exists(catalog, own.identifier) is not None:
        return own
    return table_location(environment, table)


def load_if_exists(catalog: Loads, identifier: tuple[str, ...]) -> Table | None:
    """The table; None where the catalog has none of this name."""
    try:
        return catalog.load_table(identifier)
    except (NoSuchTableError, NoSuchNamespaceError):
        return None
