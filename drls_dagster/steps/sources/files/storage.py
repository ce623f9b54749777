"""The storage that files lie on: this machine's, or a bucket. One interface, so that one rule lists both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

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


class Storage(Protocol):
    """What listing and copying need."""

    def entries(self, folder: str) -> list[Entry]: ...

    def look(self, names: Sequence[str]) -> list[Entry | None]: ...

    def open(self, name: str) -> IO[bytes]: ...


class Local:
    """The file system of this machine. Names may hold any bytes."""

    def entries(self, folder: str) -> list[Entry]:
        try:
            with os.scandir(folder) as found:
                return [entry for one in found if (entry := _local(one.path)) is not None]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def look(self, names: Sequence[str]) -> list[Entry | None]:
        return [_local(name) for name in names]

    def open(self, name: str) -> IO[bytes]:
        return open(name, "rb")


class Remote:
    """A bucket or another place with a URI. Paths are `scheme://bucket/key`, never percent-encoded."""

    def __init__(self, scheme: str, filesystem: pafs.FileSystem) -> None:
        self._prefix = f"{scheme}://"
        self._filesystem = filesystem

    def entries(self, folder: str) -> list[Entry]:
        import pyarrow.fs as pafs

        selector = pafs.FileSelector(self._key(folder), allow_not_found=True)
        return [entry for one in self._filesystem.get_file_info(selector) if (entry := self._entry(one)) is not None]

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


def storage_of(path: str, landing: str, settings: Settings) -> tuple[Storage, str, str]:
    """The storage that a source's path lies on, the path itself, whole, and the folder or URI it was relative to."""
    base = "" if os.path.isabs(path) or "://" in path else landing
    if base:
        path = f"{base.rstrip('/')}/{path}"
    if "://" not in path:
        return Local(), os.path.abspath(os.path.expanduser(path)), base and os.path.abspath(os.path.expanduser(base))
    if path.startswith("file://"):
        return Local(), os.path.abspath(unquote(urlsplit(path).path)), ""
    scheme, _, rest = path.partition("://")
    # Credentials and options of the URI belong to the landing setting, or to an address that stands for itself.
    address = base or path
    filesystem = _filesystem(address, settings)
    plain = rest.rpartition("@")[2] if "@" in rest.split("/", 1)[0] else rest
    if base and "?" in base:
        head = base.partition("?")[0]
        plain = f"{head.partition('://')[2].rpartition('@')[2].rstrip('/')}/{path[len(base.rstrip('/')) + 1 :]}"
    elif "?" in plain and ("endpoint_override=" in plain or "region=" in plain):
        plain = plain.partition("?")[0]
    root = base and f"{scheme}://{base.partition('://')[2].rpartition('@')[2].partition('?')[0].rstrip('/')}"
    return Remote(scheme, filesystem), f"{scheme}://{plain}", root


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
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceMissing(f"{what} cannot be read: {said[:300]}") from None


def in_parallel(act: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`act` of each item, in order; many files are looked at at once."""
    if len(items) <= 1:
        return [act(item) for item in items]
    with ThreadPoolExecutor(min(THREADS, len(items))) as pool:
        return list(pool.map(act, items))


def _local(path: str) -> Entry | None:
    try:
        stat = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Entry(path, os.path.isdir(path), stat.st_size, stat.st_mtime_ns)


def storage_of_place(path: str) -> Storage:
    """The storage of a path that DRLS itself has made, or of a file of this machine."""
    if "://" not in path:
        return Local()
    from drls_dagster.storage import filesystem_of

    return Remote(path.partition("://")[0], filesystem_of(path)[0])
