"""Files for their owner alone: secrets, databases and backups, whatever the umask and the folder's mode."""

from __future__ import annotations

import glob
import os
import pwd
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lifecycle.errors import StoreError

_OTHERS = 0o077
_LOOKS = 20  # a writer takes its other name away meanwhile
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
    the file and this user may not change that, and for a link.
    """
    # An open and close of a database in use would drop the locks that this process holds on it: only look at it.
    if not os.path.lexists(file):
        write_private(file, b"", replace=False)
    for one in (file, *(file.with_name(file.name + companion) for companion in _COMPANIONS)):
        found = refuse_planted(one)
        if found is None or not found.st_mode & _OTHERS:
            continue
        try:
            _close_to_others(one)
        except FileNotFoundError:
            continue
        except PermissionError:
            raise StoreError(f"{one} is readable by other users; ask its owner to run: chmod 600 {one}") from None


def is_private(file: Path) -> bool:
    """Whether nobody but its owner can read or change it. Raises FileNotFoundError, and StoreError for a link."""
    found = refuse_planted(file)
    if found is None:
        raise FileNotFoundError(file)
    return not found.st_mode & _OTHERS


def refuse_planted(file: Path) -> os.stat_result | None:
    """What the file itself is; None where it is missing.

    Raises StoreError for anything that somebody else may have put in its place: a link would lead us to another file,
    and the owner of a file can read and change what we keep there.
    """
    for _ in range(_LOOKS):
        try:
            found = file.lstat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(found.st_mode):
            what = "is a link" if stat.S_ISLNK(found.st_mode) else "is not a file"
            raise StoreError(f"{file} {what}, which DRLS does not follow; look who put it there, and remove it")
        if not is_trusted(found.st_uid, file.parent):
            raise StoreError(
                f"{file} belongs to {account_name(found.st_uid)}, who could change it; look who put it there, and "
                "remove it"
            )
        # A writer that puts it there has it under another name for a moment, and one that was killed leaves that.
        if found.st_nlink <= 1 + _fresh_names(file, found):
            return found
    raise StoreError(
        f"{file} has another name elsewhere (a hard link); look who made it, and put a copy in its place: "
        f"cp -p {file} {file}.copy && mv {file}.copy {file}"
    )


def is_trusted(uid: int, folder: Path) -> bool:
    """Whether an account may put a file for us into the folder: we, root, and whom the folder belongs to."""
    return uid in (os.geteuid(), 0) or uid == folder.stat().st_uid


def account_name(uid: int) -> str:
    """An account in words."""
    try:
        return f"the account {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the account with the number {uid}"


def _close_to_others(file: Path) -> None:
    """Whatever is under that name by now: nothing that it leads to."""
    opened = os.open(file, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)  # closing this drops no lock
    try:
        found = os.fstat(opened)
        if stat.S_ISREG(found.st_mode):
            os.chmod(f"/proc/self/fd/{opened}", stat.S_IMODE(found.st_mode) & 0o700)
    finally:
        os.close(opened)


def _fresh_names(file: Path, found: os.stat_result) -> int:
    """How many names of writers (see `_put`) the same file has."""
    if found.st_nlink == 1:
        return 0
    count = 0
    for other in file.parent.glob(f".{glob.escape(file.name)}.{'[0-9a-f]' * 16}"):
        try:
            count += os.path.samestat(other.lstat(), found)
        except FileNotFoundError:
            continue
    return count


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
