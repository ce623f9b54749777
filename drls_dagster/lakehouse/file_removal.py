"""Deleting a table's files, and nothing else.

A path comes from a manifest, which pipeline code may have written. So only what lies in the table's own folders is
deleted. A folder is opened before it is looked at, so that a link that is put in its place meanwhile leads nowhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.reachable import each, normal
from drls_dagster.lakehouse.stored_files import local_path

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.table import Table

_FOLDERS = ("write.data.path", "write.metadata.path", "write.object-storage.path", "write.folder-storage.path")
_OPEN_FOLDERS = 64


def own_folders(table: Table, warehouse: Path | None = None) -> tuple[str, ...]:
    """Where a table keeps its files: its location, and what its properties name.

    Of this machine only what lies below `warehouse`: SQL can name any folder as a table's location. Where the tables
    are not known to lie on this machine (None), the location counts, and no property.
    """
    found = [normal(table.location()).rstrip("/") or "/"]
    if warehouse is not None and not _is_below(found[0], warehouse):
        found.clear()
    for name in _FOLDERS:
        named = normal(table.properties.get(name, "")).rstrip("/")
        if named and (local_path(named) is None or (warehouse is not None and _is_below(named, warehouse))):
            found.append(named)
    return tuple(dict.fromkeys(found))


def _is_below(folder: str, warehouse: Path) -> bool:
    """Whether a folder is on other storage, or really lies in the warehouse."""
    if local_path(folder) is None:
        return True
    where = Path(os.path.realpath(folder))
    return where != warehouse and where.is_relative_to(warehouse)


@dataclass
class Removed:
    """What was deleted. `outside` are files that the table names and that are not in its folders: they stay."""

    files: int = 0
    bytes: int = 0
    outside: int = 0
    failed: list[str] = field(default_factory=list[str])


class Removal:
    """Deletes files below `folders`; one that is gone already is not counted."""

    def __init__(self, io: FileIO, folders: Sequence[str]) -> None:
        self._io = io
        self._folders = tuple(f"{normal(one).rstrip('/')}/" for one in folders)
        self._real = tuple(os.path.realpath(one) for one in self._folders if local_path(one) is not None)
        if any(one.count("/") < 2 for one in self._real):
            raise DrlsError(f"a table at {min(self._real, key=len)} is too near to the root: its files stay")
        self._open: dict[str, int] = {}

    def close(self) -> None:
        for folder in self._open.values():
            os.close(folder)
        self._open.clear()

    def __enter__(self) -> Removal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def remove(self, files: Iterable[tuple[str, int | None]], removed: Removed) -> None:
        """Deletes them; `removed` counts. The size is needed of remote files only, and asked for where it is None."""
        remote: list[tuple[str, int | None]] = []
        for path, size in files:
            plain = normal(path)
            if not plain.startswith(self._folders) or "/../" in plain:
                removed.outside += 1
            elif local_path(plain) is None:
                remote.append((path, size))
            else:
                self._remove_local(plain, removed)
        for path, size, error in each(remote, self._remove_remote):
            if error:
                removed.failed.append(f"{path}: {error}")
            elif size is not None:
                removed.files += 1
                removed.bytes += size

    def _remove_local(self, path: str, removed: Removed) -> None:
        folder, name = os.path.split(path)
        try:
            opened = self._folder(folder)
            if opened is None:
                removed.outside += 1
                return
            found = os.stat(name, dir_fd=opened, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                removed.outside += 1
                return
            os.unlink(name, dir_fd=opened)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            removed.failed.append(f"{path}: {error.strerror}")
            return
        removed.files += 1
        removed.bytes += found.st_size

    def _folder(self, folder: str) -> int | None:
        """The folder, opened; None where it really lies elsewhere."""
        if folder not in self._open:
            if len(self._open) >= _OPEN_FOLDERS:
                self.close()
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            where = os.path.realpath(f"/proc/self/fd/{opened}")
            if not any(where == one or where.startswith(f"{one}/") for one in self._real):
                os.close(opened)
                return None
            self._open[folder] = opened
        return self._open[folder]

    def _remove_remote(self, given: tuple[str, int | None]) -> tuple[str, int | None, str]:
        path, size = given
        try:
            if size is None:
                size = len(self._io.new_input(path))
            with suppress(FileNotFoundError):
                self._io.delete(path)
                return path, size, ""
        except FileNotFoundError:
            pass
        except OSError as error:
            return path, None, error.strerror or str(error)
        return path, None, ""
