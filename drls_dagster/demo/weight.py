"""What tables weigh: the files that are really there, listed, not what metadata says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


@dataclass(frozen=True)
class Weight:
    """Data files of some tables, of all their snapshots and branches, and their size in bytes."""

    files: int
    bytes: int

    def __sub__(self, before: Weight) -> Weight:
        return Weight(self.files - before.files, self.bytes - before.bytes)


def weigh(catalog: Catalog, tables: Sequence[str]) -> Weight:
    """Lists the storage under each table, without its metadata folder."""
    from pyarrow.fs import FileSelector, FileType
    from pyiceberg.io.pyarrow import PyArrowFileIO

    sizes: list[int] = []
    for name in tables:
        table = catalog.load_table(name)
        scheme, netloc, path = PyArrowFileIO.parse_location(table.location(), table.io.properties)
        files = PyArrowFileIO(table.io.properties).fs_by_scheme(scheme, netloc)
        found = files.get_file_info(FileSelector(f"{path}/data", recursive=True))
        sizes += [one.size for one in found if one.type == FileType.File and not one.base_name.startswith(".")]
    return Weight(len(sizes), sum(sizes))
