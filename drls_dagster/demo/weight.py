"""What tables weigh: the files that are really there, listed, not what metadata says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


@dataclass(frozen=True)
class Weight:
    """Files of some tables, of all their snapshots and branches. `bytes` are those of the data files."""

    data_files: int
    bytes: int
    metadata_files: int

    def __sub__(self, before: Weight) -> Weight:
        return Weight(
            self.data_files - before.data_files,
            self.bytes - before.bytes,
            self.metadata_files - before.metadata_files,
        )


def weigh(catalog: Catalog, tables: Sequence[str]) -> Weight:
    """Lists the storage under each table."""
    from pyarrow.fs import FileSelector, FileType
    from pyiceberg.io.pyarrow import PyArrowFileIO

    sizes: list[int] = []
    metadata_files = 0
    for name in tables:
        table = catalog.load_table(name)
        scheme, netloc, path = PyArrowFileIO.parse_location(table.location(), table.io.properties)
        storage = PyArrowFileIO(table.io.properties).fs_by_scheme(scheme, netloc)
        for file in storage.get_file_info(FileSelector(path, recursive=True)):
            # Hadoop writes a hidden checksum next to each file.
            if file.type != FileType.File or file.base_name.startswith("."):
                continue
            if "/metadata/" in file.path.removeprefix(path):
                metadata_files += 1
            else:
                sizes.append(file.size)
    return Weight(len(sizes), sum(sizes), metadata_files)
