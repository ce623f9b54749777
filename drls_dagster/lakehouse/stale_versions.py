"""Metadata files that somebody wrote and never made current: a kill, or another's commit, came before the swap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.lakehouse.catalog_config import warehouse_folder
from drls_dagster.lakehouse.file_removal import Removal, Removed, own_folders
from drls_dagster.lakehouse.listing import stale_metadata

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from drls_dagster.settings import Settings


def remove_stale_versions(settings: Settings, table: Table) -> None:
    """Removes those on top of versions that the table has left behind: nobody can commit them now.

    What is on top of the current one stays, as its writer may be about to commit. A REST server writes metadata itself.
    """
    from pyiceberg.catalog.rest import RestCatalog

    if isinstance(table.catalog, RestCatalog):
        return
    bases = {one.metadata_file for one in table.metadata.metadata_log}
    stale = [(one.path, one.size) for one in stale_metadata(table, bases)]
    if stale:
        with Removal(table.io, own_folders(table, warehouse_folder(settings))) as removal:
            removal.remove(stale, Removed())
