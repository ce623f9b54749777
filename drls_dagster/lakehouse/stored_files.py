"""A table's files as they lie on a disk or in an object store: what they are now, what is in them, and who may write.

A path comes from a manifest, which pipeline code may have written. So nothing but regular files is opened, a link is
not followed, and a mode is changed only below the warehouse.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.domain.seal import Identity

if TYPE_CHECKING:
    from pyiceberg.io import FileIO

_PIECE = 1 << 20
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Seen:
    """A file now. `tag` is the object store's own name for its content; empty where it gives none."""

    size: int
    identity: Identity | None = None
    tag: str = ""


def local_path(path: str) -> str | None:
    """The path on this machine; None for another storage. Spark writes `file:/x`, PyIceberg `file:///x`."""
    if path.startswith("/"):
        return path
    return "/" + path.removeprefix("file:").lstrip("/") if path.startswith("file:") else None


def see(io: FileIO, path: str) -> Seen | None:
    """What the storage says of a file; None where it is gone."""
    local = local_path(path)
    if local is None:
        return _see_remote(io, path)
    try:
        found = os.lstat(local)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Seen(found.st_size, _identity(found)) if stat.S_ISREG(found.st_mode) else Seen(-1)


def digest(io: FileIO, path: str, beat: Callable[[], None] = lambda: None) -> tuple[Seen, str]:
    """What is in a file, as `sha256:<hex>`, and what it was meanwhile. Raises OSError."""
    local = local_path(path)
    if local is None:
        return _digest_remote(io, path, beat)
    with _opened(local) as file:
        return _digest_local(file, local, beat)


def close_for_writing(path: str, root: Path | None, *, own: bool) -> None:
    """Takes the right to write from everybody, where the file lies below `root`; `own`: root takes it over.

    The owner of a file can give the right back, and who may write the folder can put another file in its place: both
    show when the file is looked at.
    """
    local = local_path(path)
    if local is None or root is None:
        return
    with _opened(local) as file:
        found = os.fstat(file)
        # Where the opened file really lies. One with a second name may be anybody's.
        where = Path(os.path.realpath(f"/proc/self/fd/{file}"))
        if found.st_nlink != 1 or not where.is_relative_to(root):
            return
        if own and os.geteuid() == 0 and found.st_uid != 0:
            os.fchown(file, 0, -1)
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o222 and (own or found.st_uid == os.geteuid()):
            os.fchmod(file, mode & ~0o222)


@contextmanager
def _opened(local: str) -> Generator[int]:
    file = os.open(local, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", local)
        yield file
    finally:
        os.close(file)


def _digest_local(file: int, local: str, beat: Callable[[], None]) -> tuple[Seen, str]:
    before = os.fstat(file)
    hashed, piece = hashlib.sha256(), memoryview(bytearray(_PIECE))
    while count := os.readv(file, [piece]):
        # The interpreter's lock is free meanwhile: two threads read and hash at once.
        hashed.update(piece[:count])
        beat()
    after = os.lstat(local)
    if (_identity(before), before.st_size, before.st_dev) != (_identity(after), after.st_size, after.st_dev):
        raise OSError(errno.EBUSY, "was written while it was read", local)
    return Seen(after.st_size, _identity(after)), f"sha256:{hashed.hexdigest()}"


def _identity(found: os.stat_result) -> Identity:
    return Identity(found.st_mtime_ns, found.st_ino, found.st_ctime_ns)


def _see_remote(io: FileIO, path: str) -> Seen | None:
    """One request: an object's size, ETag and, in a bucket with versions, its version."""
    from pyiceberg.io.pyarrow import PyArrowFile

    given = io.new_input(path)
    try:
        if not isinstance(given, PyArrowFile):
            return Seen(len(given)) if given.exists() else None
        with given._filesystem.open_input_stream(given._path) as stream:
            told = stream.metadata() or {}
            size = stream.size() if "Content-Length" not in _plain(told) else int(_plain(told)["Content-Length"])
    except FileNotFoundError:
        return None
    words = _plain(told)
    tag = ";".join(f"{name}={words[name]}" for name in ("ETag", "VersionId") if words.get(name))
    return Seen(size, tag=tag)


def _plain(metadata: object) -> dict[str, str]:
    items = metadata.items() if isinstance(metadata, dict) else ()
    return {_text(name): _text(value) for name, value in items}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _digest_remote(io: FileIO, path: str, beat: Callable[[], None]) -> tuple[Seen, str]:
    seen = _see_remote(io, path)
    if seen is None:
        raise FileNotFoundError(errno.ENOENT, "is gone", path)
    hashed = hashlib.sha256()
    with io.new_input(path).open() as stream:
        while piece := stream.read(8 * _PIECE):
            hashed.update(piece)
            beat()
    return seen, f"sha256:{hashed.hexdigest()}"
