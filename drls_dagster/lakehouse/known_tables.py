"""Tables for who only reads: of a table that has not changed, the metadata file is not read and parsed again.

What a metadata file says never changes; which one is a table's current one is asked of the catalog each time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.catalog import metadata_location

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata

_MOST_FILES = 500
_MOST_SNAPSHOTS = 2_000  # of a table with more, the metadata takes megabytes

_known: OrderedDict[str, TableMetadata] = OrderedDict()
_line = threading.Lock()


@dataclass(frozen=True)
class KnownTables:
    """The tables of a catalog, to be read and not to be changed."""

    catalog: Catalog

    def load_table(self, identifier: tuple[str, ...], /) -> Table:
        """The table as it is now. Raises NoSuchTableError, NoSuchNamespaceError."""
        from pyiceberg.table import Table

        location = metadata_location(self.catalog, identifier)
        metadata = _recalled(location)
        if metadata is None or location is None:
            return _noted(self.catalog.load_table(identifier))
        # As the catalog does itself.
        io = self.catalog._load_file_io(metadata.properties, location)
        return Table(identifier, metadata, location, io, self.catalog)


def _recalled(location: str | None) -> TableMetadata | None:
    with _line:
        if location is None or location not in _known:
            return None
        _known.move_to_end(location)
        return _known[location]


def _noted(table: Table) -> Table:
    if len(table.metadata.snapshots) <= _MOST_SNAPSHOTS:
        with _line:
            _known[table.metadata_location] = table.metadata
            while len(_known) > _MOST_FILES:
                _known.popitem(last=False)
    return table
