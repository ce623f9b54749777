"""The files of a version's code in a private folder that their digest names, for code that opens its data files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from drls_dagster.errors import DrlsError

KEEP_DAYS = 30


def materialise(files: Mapping[str, bytes], root: Path) -> Path:
    """The folder below `root` with exactly these files; one that was changed is made again.

    Raises DrlsError where `root` is somebody else's, or cannot be written.
    """
    folder = root / name_of(files)
    try:
        _private(root)
        for _ in range(10):  # another process may make it, or find it changed, at the same time
            with contextlib.suppress(FileNotFoundError):  # moved away by it between two looks
                if _is_whole(folder, files):
                    os.utime(folder)
                    return folder
                _replace(folder, files)
    except OSError as error:
        raise DrlsError(f"{folder}: cannot write the pipeline's code there: {error.strerror}") from None
    raise DrlsError(f"{folder} keeps being changed by another process; find out which one, then run again")


def name_of(files: Mapping[str, bytes]) -> str:
    """A digest of the paths and contents."""
    lines = (f"{path}\0{hashlib.sha256(content).hexdigest()}\n" for path, content in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _private(root: Path) -> None:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise DrlsError(f"{root} belongs to another user, so no code runs from it; remove it")
    if stat.S_IMODE(found.st_mode) != 0o700:
        root.chmod(0o700)


def _is_whole(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Whether the folder holds these files and nothing else, all of them this user's own."""
    try:
        if not _is_own(folder, stat.S_ISDIR):
            return False
        found: set[str] = set()
        for place, folders, names in os.walk(folder):
            if not all(_is_own(Path(place, name), stat.S_ISDIR) for name in folders):
                return False
            for name in names:
                path = Path(place, name)
                relative = path.relative_to(folder).as_posix()
                if not _is_own(path, stat.S_ISREG) or path.read_bytes() != files.get(relative):
                    return False
                found.add(relative)
    except FileNotFoundError:
        return False
    return found == files.keys()


def _is_own(path: Path, kind: object) -> bool:
    found = path.lstat()
    right = stat.S_ISDIR(found.st_mode) if kind is stat.S_ISDIR else stat.S_ISREG(found.st_mode)
    return right and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _replace(folder: Path, files: Mapping[str, bytes]) -> None:
    _forget_old(folder.parent)
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        for path, content in files.items():
            where = made.joinpath(*path.split("/"))
            for missing in reversed([one for one in where.parents if not one.exists()]):
                missing.mkdir(mode=0o700)
            with os.fdopen(os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
        old = Path(tempfile.mkdtemp(prefix=".old-", dir=folder.parent))
        try:
            folder.rename(old / "code")
        except FileNotFoundError:
            pass
        except NotADirectoryError:
            folder.unlink()
        with contextlib.suppress(OSError):  # another process was quicker; what it made is looked at next
            made.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _forget_old(root: Path) -> None:
    oldest = time.time() - KEEP_DAYS * 86_400
    for path in root.iterdir():
        if path.is_dir() and not path.is_symlink() and path.stat().st_mtime < oldest:
            shutil.rmtree(path, ignore_errors=True)
