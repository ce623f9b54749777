"""Folders below staging, held open while the platform works in them.

The engine can write there, and so can all code in it. A link that it puts in place of a folder must not lead the
platform, which may open every file of the owner, to write, remove or hand out files elsewhere.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drls_dagster.errors import DrlsError

# A folder on the way need not be one that can be listed.
_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def anchored(folder: str, *, make: bool = False) -> Iterator[str]:
    """Another name of a folder, which stays that of this folder whatever becomes of its path.

    `make`: it, and what is above it, where it is missing. Raises FileNotFoundError, and DrlsError where a part of the
    path is a link or no folder.
    """
    at = os.open("/", _FLAGS)
    try:
        for part in Path(folder).parts[1:]:
            if make:
                try:
                    os.mkdir(part, 0o700, dir_fd=at)
                except FileExistsError:
                    pass
                except OSError as error:  # what is above, where others keep their folders, need not be writable
                    if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                        raise
            try:
                below = os.open(part, _FLAGS, dir_fd=at)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise _refused(folder) from None
                raise
            os.close(at)
            at = below
        yield f"/proc/self/fd/{at}" if sys.platform == "linux" else folder
    finally:
        os.close(at)


def removed(folder: str) -> None:
    """Remove a folder with all that is in it; a link in its place goes, and not what it leads to."""
    above, name = os.path.split(folder)
    try:
        with anchored(above) as at:
            path = f"{at}/{name}"
            if stat.S_ISDIR(os.lstat(path).st_mode):
                shutil.rmtree(path)
            else:
                os.unlink(path)
    except FileNotFoundError:
        return


def moved(source: Path, folder: str) -> None:
    """Move a file of ours into a folder, made where it is missing, in place of whatever has its name there."""
    with anchored(folder, make=True) as at:
        try:
            os.replace(source, f"{at}/{source.name}")
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            part = f"{at}/.{uuid.uuid4().hex}.part"
            with source.open("rb") as read, open(part, "xb") as written:
                shutil.copyfileobj(read, written, 1 << 20)
            os.replace(part, f"{at}/{source.name}")
            source.unlink()


def taken(folder: str, into: Path) -> None:
    """Move a folder to `into`, where the engine cannot reach it. Raises DrlsError where something else is there."""
    above, name = os.path.split(folder)
    with anchored(above) as at:
        try:
            os.rename(f"{at}/{name}", into)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copied(f"{at}/{name}", into)
    if not stat.S_ISDIR(os.lstat(into).st_mode):
        raise _refused(folder)


def _copied(folder: str, into: Path) -> None:
    """The files of a folder on another disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        into.mkdir(mode=0o700)
        for name in os.listdir(opened):
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=opened)
            with os.fdopen(file, "rb") as read:
                if stat.S_ISREG(os.fstat(file).st_mode):
                    with (into / name).open("xb") as written:
                        shutil.copyfileobj(read, written, 1 << 20)
    finally:
        os.close(opened)


def _refused(folder: str) -> DrlsError:
    return DrlsError(f"{folder} leads elsewhere: look who put a link there, remove it, and run again")
