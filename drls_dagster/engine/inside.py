"""Files in the engine's folder, opened by the platform: never by a link that something in the engine has put there.

Whatever runs in the engine can change this folder. A link in it would lead the platform, which may open every file of
the owner, to a file of the attacker's choice.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

from drls_dagster.errors import DrlsError


def open_inside(folder: Path, name: str, mode: str) -> IO[str]:
    """Open `folder/name` as text; `name` may have folders in it. Raises DrlsError for anything but a file."""

    def opener(_: str, flags: int) -> int:
        *above, last = name.split("/")
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for one in above:
                below = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
                os.close(at)
                at = below
            # What is cut off is cut off after it has been looked at; and a pipe must not keep anybody waiting.
            opened = os.open(last, (flags & ~os.O_TRUNC) | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=at)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR):
                raise _refused(folder, name) from None
            raise
        finally:
            os.close(at)
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            os.close(opened)
            raise _refused(folder, name)
        if flags & os.O_TRUNC:
            os.ftruncate(opened, 0)
        return opened

    return open(folder / name, mode, errors="replace", opener=opener)


def _refused(folder: Path, name: str) -> DrlsError:
    return DrlsError(
        f"{folder / name} is not a file of its own but leads elsewhere; look who put it there, and remove it"
    )
