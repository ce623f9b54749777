"""Files for their owner alone: secrets, databases and backups, whatever the umask and the folder's mode."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lifecycle.errors import StoreError

_OTHERS = 0o077
# SQLite gives these the mode of the database at the moment it makes them.
_COMPANIONS = ("-wal", "-shm", "-journal")


def write_private(file: Path, content: str | bytes, *, replace: bool = True) -> bool:
    """Puts `content` at `file`, mode 0600, whole or not at all, and there after a power failure.

    Without `replace` the first writer wins: False when `file` is there already, which then stays as it is.
    """
    fresh = _fresh(file)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as out:
            os.fchmod(out.fileno(), 0o600)
            out.write(content.encode() if isinstance(content, str) else content)
            out.flush()
            os.fsync(out.fileno())
        return _put(fresh, file, replace=replace)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def new_private(file: Path) -> Generator[Path]:
    """A new, empty file of mode 0600 to write to by name; it becomes `file` when the block ends well.

    Raises FileExistsError, at the start or at the end, when `file` is there: it stays as it is.
    """
    if file.exists():
        raise FileExistsError(file)
    fresh = _fresh(file)
    try:
        write_private(fresh, b"", replace=False)
        yield fresh
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        if not _put(fresh, file, replace=False):
            raise FileExistsError(file)
    finally:
        for companion in ("", *_COMPANIONS):
            fresh.with_name(fresh.name + companion).unlink(missing_ok=True)


def private_database(file: Path) -> None:
    """Sees to it that the SQLite database at `file` and what SQLite keeps next to it are of mode 0600.

    Creates an empty one if it is missing. Call it before each connect. Raises StoreError where others can read
    the file and this user may not change that.
    """
    # An open and close of a database in use would drop the locks that this process holds on it: only look at it.
    if not file.exists():
        write_private(file, b"", replace=False)
    for one in (file, *(file.with_name(file.name + companion) for companion in _COMPANIONS)):
        try:
            mode = one.stat().st_mode
            if mode & _OTHERS:
                one.chmod(mode & 0o700)
        except FileNotFoundError:
            continue
        except PermissionError:
            raise StoreError(f"{one} is readable by other users; ask its owner to run: chmod 600 {one}") from None


def is_private(file: Path) -> bool:
    """Whether nobody but its owner can read or change it. Raises FileNotFoundError."""
    return not file.stat().st_mode & _OTHERS


def _fresh(file: Path) -> Path:
    return file.with_name(f".{file.name}.{secrets.token_hex(8)}")


def _put(fresh: Path, file: Path, *, replace: bool) -> bool:
    if replace:
        fresh.replace(file)
    else:
        try:
            # A link refuses an existing name: of several first writers one stays.
            os.link(fresh, file)
        except FileExistsError:
            return False
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True
