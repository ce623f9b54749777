"""Every file below a folder, on a disk or in an object store, as it is found. Links are not followed."""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from drls_dagster.lakehouse.reachable import Paths, normal
from drls_dagster.lakehouse.stored_files import local_path

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.table import Table


_OTHERS = re.compile(r"(?:.*/)?(?:[_.][^/]*|version-hint\.text)")
_WRITTEN_SECONDS = 60.0


class Listed(NamedTuple):
    """`path` in its normal spelling; `modified` in seconds since the epoch."""

    path: str
    size: int
    modified: float


def of_others(path: str) -> bool:
    """Whether its name is of a kind that others keep next to a table's own files."""
    return _OTHERS.fullmatch(path) is not None


def unknown(files: Sequence[Listed], known: Paths) -> list[Listed]:
    """Those that are not among the known ones."""
    return [one for one, is_known in zip(files, known.has([one.path for one in files]), strict=True) if not is_known]


def metadata_json(io: FileIO, path: str) -> Any:
    """What a metadata file says. Raises FileNotFoundError, and ValueError for a file that is cut off."""
    with io.new_input(path).open() as stream:
        text = stream.read()
    try:
        return json.loads(gzip.decompress(text) if path.endswith(".gz.metadata.json") else text)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is cut off") from error


def files_below(io: FileIO, folder: str, enter: Callable[[str], bool] = lambda _: True) -> Iterator[Listed]:
    """The regular files below `folder`; nothing where it does not exist. `enter` says which folders are looked into."""
    plain = normal(folder).rstrip("/")
    return _local(plain, enter) if local_path(plain) is not None else _remote(io, plain, enter)


def _local(folder: str, enter: Callable[[str], bool]) -> Iterator[Listed]:
    pending = [folder]
    while pending:
        try:
            entries = os.scandir(pending.pop())
        except (FileNotFoundError, NotADirectoryError):
            continue
        with entries:
            for one in entries:
                try:
                    found = one.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISDIR(found.st_mode):
                    if enter(one.path):
                        pending.append(one.path)
                elif stat.S_ISREG(found.st_mode):
                    yield Listed(one.path, found.st_size, found.st_mtime)


def _remote(io: FileIO, folder: str, enter: Callable[[str], bool]) -> Iterator[Listed]:
    from pyarrow.fs import FileSelector, FileType

    files, start = _file_system(io, folder)
    prefix = folder[: len(folder) - len(start)]
    pending = [start]
    while pending:
        for one in files.get_file_info(FileSelector(pending.pop(), recursive=False, allow_not_found=True)):
            path = prefix + one.path
            if one.type == FileType.Directory:
                if enter(path):
                    pending.append(one.path)
            elif one.type == FileType.File:
                yield Listed(path, one.size or 0, (one.mtime_ns or 0) / 1e9)


def _file_system(io: FileIO, folder: str) -> tuple[Any, str]:
    """Arrow's file system for a place that the table's own access opens, and the path in it."""
    from urllib.parse import urlparse

    from pyiceberg.io.fsspec import FsspecFileIO
    from pyiceberg.io.pyarrow import PyArrowFileIO

    if isinstance(io, PyArrowFileIO):
        scheme, netloc, path = io.parse_location(folder, io.properties)
        return io.fs_by_scheme(scheme, netloc), path
    if isinstance(io, FsspecFileIO):
        from pyarrow.fs import FSSpecHandler, PyFileSystem

        place = urlparse(folder)
        return PyFileSystem(FSSpecHandler(io.get_fs(place.scheme))), f"{place.netloc}{place.path}"
    raise NotImplementedError(f"files cannot be listed through {type(io).__name__}")


def stale_metadata(table: Table, bases: set[str]) -> Iterator[Listed]:
    """Metadata files that were written on top of one of `bases` and never became current.

    A catalog compares places: once a table has moved on from a base, nobody can commit what was written on top of it.
    A base that is current is passed over, as a writer may be about to commit. One that a kill has cut off does not say
    its base; its number does, once it is so old that nobody is still writing it: a writer that is behind would fail
    in the middle instead of trying again.
    """
    known = {normal(table.metadata_location), *(normal(one.metadata_file) for one in table.metadata.metadata_log)}
    past = {normal(one) for one in bases} - {normal(table.metadata_location)}
    next_ones = {(folder, number + 1) for folder, number in map(_place, past) if number is not None}
    current = _place(normal(table.metadata_location))[1] or 0
    for folder in {folder for folder, _ in next_ones}:
        for one in files_below(table.io, folder, lambda _: False):
            if (
                one.path not in known
                and one.path.endswith(".metadata.json")
                and _place(one.path) in next_ones
                and _is_past(table.io, one, past, current)
            ):
                yield one


def _place(path: str) -> tuple[str, int | None]:
    """The folder of a metadata file, and the number that its name begins with."""
    folder, _, name = path.rpartition("/")
    number = name.partition("-")[0]
    return folder, int(number) if number.isdigit() else None


def _is_past(io: FileIO, file: Listed, past: set[str], current: int) -> bool:
    """Whether a metadata file was written on top of one of `past`; `current` is the number of the current one."""
    try:
        log = metadata_json(io, file.path).get("metadata-log")
    except FileNotFoundError:  # gone since
        return False
    except ValueError:  # cut off by a kill, or being written
        number = _place(file.path)[1]
        return number is not None and number <= current and file.modified < time.time() - _WRITTEN_SECONDS
    last = log[-1].get("metadata-file") if log else None
    return last is not None and normal(last) in past
