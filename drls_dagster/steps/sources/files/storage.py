"""The storage that files lie on: this machine's, or a bucket. One interface, so that one rule lists both."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from stat import S_ISDIR, S_ISREG
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

from drls_dagster.steps.sources.files.roots import Named, Roots
from drls_dagster.steps.sources.pins import SourceMissing

if TYPE_CHECKING:
    import pyarrow.fs as pafs

    from drls_dagster.settings import Settings

T = TypeVar("T")
R = TypeVar("R")
THREADS = 16
_S3 = ("s3", "s3a", "s3n")


@dataclass(frozen=True)
class Entry:
    """A file or folder as its folder lists it; `name` is its path, whole."""

    name: str
    is_folder: bool
    size: int = 0
    modified: int = 0  # nanoseconds
    place: str = ""  # with all links resolved; of this machine only
    leaves: bool = False  # it leads to where no source may read
    is_broken: bool = False  # a link that leads to nothing, or to itself


class Storage(Protocol):
    """What listing and copying need."""

    def entries(self, folder: str) -> list[Entry]: ...

    def look(self, names: Sequence[str]) -> list[Entry | None]: ...

    def open(self, name: str) -> IO[bytes]: ...


class Local:
    """The file system of this machine. Names may hold any bytes.

    `admits` says of a place, its links resolved, whether it may be read: nothing else is listed or looked at.
    """

    def __init__(self, admits: Callable[[str], bool] = lambda _: True) -> None:
        self._admits = admits

    def entries(self, folder: str) -> list[Entry]:
        real = os.path.realpath(folder).rstrip("/")
        if not self._admits(real or "/"):
            raise PermissionError(errno.EACCES, "it leads to where no source may read")
        found: list[Entry] = []
        try:
            with os.scandir(real or "/") as names:
                for one in names:
                    place = os.path.realpath(one.path) if one.is_symlink() else f"{real}/{one.name}"
                    entry = self._entry(f"{folder.rstrip('/')}/{one.name}", place)
                    if entry is not None:
                        found.append(entry)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return found

    def look(self, names: Sequence[str]) -> list[Entry | None]:
        return [self._entry(name, os.path.realpath(name)) for name in names]

    def open(self, name: str) -> IO[bytes]:
        """The bytes of a file. Raises OSError where `name`, which no link is part of, has become one meanwhile."""
        file = open(name, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW))  # noqa: SIM115
        opened = f"/proc/self/fd/{file.fileno()}"
        if os.path.exists(opened) and os.readlink(opened) != name:
            file.close()
            raise OSError(errno.ELOOP, "it became a link")
        return file

    def _entry(self, path: str, place: str) -> Entry | None:
        leaves = not self._admits(place)
        try:
            stat = os.stat(place)
        except OSError as error:
            if leaves:  # whether it is there is not said
                return Entry(path, is_folder=False, place=place, leaves=True)
            if os.path.islink(path):
                return Entry(path, is_folder=False, place=place, is_broken=True)
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                return None
            raise
        if not leaves and not S_ISDIR(stat.st_mode) and not S_ISREG(stat.st_mode):
            return None  # a pipe or a device holds no rows
        return Entry(path, S_ISDIR(stat.st_mode), stat.st_size, stat.st_mtime_ns, place, leaves)


class Remote:
    """A bucket or another place with a URI. Paths are `scheme://bucket/key`, never percent-encoded."""

    def __init__(self, scheme: str, filesystem: pafs.FileSystem) -> None:
        self._prefix = f"{scheme}://"
        self._filesystem = filesystem

    def entries(self, folder: str) -> list[Entry]:
        import pyarrow.fs as pafs

        key = self._key(folder)
        found: list[Entry] = []
        for one in self._filesystem.get_file_info(pafs.FileSelector(key, allow_not_found=True)):
            entry = self._entry(one)
            if entry is not None:
                # PyArrow calls the folder of `a//b` like the one that it is in.
                found.append(replace(entry, name=f"{entry.name}/") if one.path == key else entry)
        return found

    def look(self, names: Sequence[str]) -> list[Entry | None]:
        return [self._entry(one) for one in self._filesystem.get_file_info([self._key(name) for name in names])]

    def open(self, name: str) -> IO[bytes]:
        return self._filesystem.open_input_file(self._key(name))  # pyright: ignore[reportReturnType]

    def _key(self, name: str) -> str:
        return name.removeprefix(self._prefix).rstrip("/")

    def _entry(self, info: Any) -> Entry | None:
        import pyarrow.fs as pafs

        if info.type == pafs.FileType.NotFound:
            return None
        folder = info.type == pafs.FileType.Directory
        return Entry(f"{self._prefix}{info.path}", folder, info.size or 0, info.mtime_ns or 0)


def storage_of(named: Named, roots: Roots, settings: Settings) -> Storage:
    """The storage that a source's path lies on. Of a bucket, the settings say how it is opened, and never the path."""
    if not named.is_remote:
        return Local(roots.admits)
    return Remote(named.path.partition("://")[0], _filesystem(named.address, settings))


def _filesystem(uri: str, settings: Settings) -> pafs.FileSystem:
    """For S3, where the URI says nothing, the catalog's own `s3.` settings hold, and then the usual AWS_ variables."""
    import pyarrow.fs as pafs

    parts = urlsplit(uri)
    try:
        if parts.scheme in _S3 and not parts.username and not parts.query:
            properties = _catalog_s3(settings)
            if properties:
                from pyiceberg.io.pyarrow import PyArrowFileIO

                return PyArrowFileIO(properties).fs_by_scheme("s3", parts.netloc)
        address = parts._replace(scheme="s3" if parts.scheme in _S3 else parts.scheme)
        # Only the bucket and the options matter here: a key is no URI, whatever is in it.
        return pafs.FileSystem.from_uri(f"{address.scheme}://{address.netloc}/?{address.query}".rstrip("?"))[0]
    except (OSError, ValueError, NotImplementedError) as error:
        where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        reason = str(error).splitlines()[0].replace(parts.netloc, parts.netloc.rpartition("@")[2])
        raise SourceMissing(f"{where} cannot be opened: {reason}") from None


def _catalog_s3(settings: Settings) -> dict[str, str]:
    from drls_dagster.lakehouse.catalog_config import resolve_catalog

    found = {name: value for name, value in resolve_catalog(settings).properties if name.startswith("s3.")}
    return found if found.keys() & {"s3.endpoint", "s3.access-key-id", "s3.region", "s3.profile-name"} else {}


@contextmanager
def reachable(what: str) -> Iterator[None]:
    """Turns what a storage's client says into one line."""
    try:
        yield
    except OSError as error:
        raise SourceMissing(f"{what} cannot be read: {said(error)}") from None


def said(error: OSError) -> str:
    """What a storage's client says, without the path on this machine that comes with it."""
    text = error.strerror if error.filename is not None else str(error)
    text = re.sub(r"'(?:file:)?/[^']*'", "it", text or "")
    return text.splitlines()[0][:300] if text else type(error).__name__


def in_parallel(act: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`act` of each item, in order; many files are looked at at once."""
    if len(items) <= 1:
        return [act(item) for item in items]
    with ThreadPoolExecutor(min(THREADS, len(items))) as pool:
        return list(pool.map(act, items))


def storage_of_place(path: str) -> Storage:
    """The storage of a path that DRLS itself has made, or of a file of this machine."""
    if "://" not in path:
        return Local()
    from drls_dagster.storage import filesystem_of

    return Remote(path.partition("://")[0], filesystem_of(path)[0])
