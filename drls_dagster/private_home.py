"""DRLS_HOME for its owner alone: making it, closing it, and refusing what others put into it."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

from drls_dagster.errors import UsageError
from lifecycle.private_files import account_name, is_trusted

_LOG = logging.getLogger(__name__)
_OTHERS = 0o077


def make_private(folder: Path) -> Path:
    """Make `folder` and what is missing above it, for this user alone; what is there stays as it is.

    Raises UsageError where that cannot be.
    """
    try:
        if folder.exists():
            return folder
        # Path.mkdir(parents=True) gives its mode to the last folder only.
        for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"DRLS_HOME: {folder} cannot be created: {error.strerror}; choose a folder you own") from None
    return folder


def private_home(home: Path, *below: str) -> Path:
    """DRLS_HOME, or a folder `below` it, made where missing. Whatever is kept there goes through here.

    A home that other users can enter is closed; this is reported. Raises UsageError where it belongs to another user.
    """
    make_private(home)
    found = home.stat()
    if found.st_mode & _OTHERS:
        if found.st_uid != os.geteuid():
            raise UsageError(
                f"DRLS_HOME: {home} belongs to another user and is accessible to others; ask its owner to "
                f"run: chmod 700 {home}, or choose a folder you own"
            )
        try:
            home.chmod(0o700)
        except OSError as error:
            if error.errno != errno.EROFS:  # as the engine sees it: an empty folder with what it may reach
                raise
            return make_private(home.joinpath(*below)) if below else home
        _LOG.warning("DRLS_HOME: other users could read %s; it is now accessible only to you (chmod 700)", home)
        refuse_planted_home(home)
    return make_private(home.joinpath(*below)) if below else home


def refuse_planted_home(home: Path) -> None:
    """Raises UsageError where something in the home, links included, is another account's: it was open to others once.

    What is in a closed home for long was looked at when a process read its settings first.
    """
    try:
        with os.scandir(home) as entries:
            found = [(entry.path, entry.stat(follow_symlinks=False)) for entry in entries]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # whoever needs it says it better
    device = home.stat().st_dev
    for path, one in found:
        # What is mounted there was put there by who may mount.
        if one.st_dev == device and not is_trusted(one.st_uid, home):
            raise UsageError(
                f"DRLS_HOME: {path} belongs to {account_name(one.st_uid)}, who could put it there while others could "
                f"write to {home}; look what it is, then remove it, or make it yours: chown -hR {os.geteuid()} {path}"
            )
