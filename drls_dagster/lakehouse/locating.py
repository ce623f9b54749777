"""Where a version's table is in an environment: the real one, or one of its own (D10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

from drls_dagster.lakehouse.naming import TableLocation, separate_location, table_location

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table


def find(catalog: Catalog, environment: str, table: str) -> tuple[TableLocation, Table | None]:
    """Where `table` (`namespace.table`) is in `environment` now, and the table; None where it is not there yet."""
    own = separate_location(environment, table)
    found = load_if_exists(catalog, own.identifier) if own else None
    if own is not None and found is not None:
        return own, found
    real = table_location(environment, table)
    return real, load_if_exists(catalog, real.identifier)


def locate(catalog: Catalog, environment: str, table: str) -> TableLocation:
    """Where `table` is in `environment`: its separate table where there is one, else as `table_location` says."""
    return find(catalog, environment, table)[0]


def load_if_exists(catalog: Catalog, identifier: tuple[str, ...]) -> Table | None:
    """The table; None where the catalog has none of this name."""
    try:
        return catalog.load_table(identifier)
    except (NoSuchTableError, NoSuchNamespaceError):
        return None
