"""What root does so that an account of its own can work where its fence lets it: owners, groups and modes of files.

Folders of DRLS are their owner's alone. The account gets folders of its own in them, reads copies and what is handed
to its group, and can pass folders on the way without seeing what else is in them. Without an account nothing changes.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from drls_dagster.fences.fence import Account

_PASS = 0o010  # by name; nothing is listed


def hand_over(folder: Path | str, account: Account | None) -> None:
    """Make an empty folder the account's own."""
    if account is not None:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)


def take_back(file: Path | str, account: Account | None) -> None:
    """Make a regular file ours again."""
    if account is not None:
        os.chown(file, os.geteuid(), os.getegid(), follow_symlinks=False)


def let_pass(folder: Path | str, account: Account | None) -> None:
    """Let the account go through the folder to what it knows by name."""
    if account is not None:
        _open_to_group(folder, account, _PASS)


def let_reach(folder: Path | str, account: Account | None) -> None:
    """The same for the folder and for those of ours above it, where the account cannot pass already.

    In the engine these are the run's: what is above its places looks open there.
    """
    if account is not None:
        for one in (Path(folder), *Path(folder).parents):
            if not can_pass(one, account):
                let_pass(one, account)


def let_read(places: Iterable[Path | str], account: Account | None) -> None:
    """Let the account read files, and list folders."""
    if account is not None:
        for place in places:
            _open_to_group(place, account, 0o050 if os.path.isdir(place) else 0o040)


def readable_copy(folder: Path | str, into: Path, account: Account) -> Path:
    """A copy of a folder of ours inside `into`, a new folder of ours, which the account can read and not change."""
    copy = into / "code"
    shutil.copytree(folder, copy, symlinks=True)
    let_read((into, copy, *copy.rglob("*")), account)
    return copy


def closed_folders(places: Iterable[str], account: Account) -> tuple[str, ...]:
    """The outermost folders on the way to the places that the account cannot pass."""
    found: set[str] = set()
    for place in places:
        way = [*reversed(Path(place).resolve().parents)]
        closed = next((one for one in way if one.exists() and not can_pass(one, account)), None)
        if closed is not None:
            found.add(str(closed))
    return tuple(sorted(found))


def can_pass(folder: Path, account: Account) -> bool:
    """Whether the mode lets the account go through the folder."""
    told = folder.stat()
    if told.st_uid == account.uid:
        return bool(told.st_mode & stat.S_IXUSR)
    if told.st_gid == account.gid:
        return bool(told.st_mode & stat.S_IXGRP)
    return bool(told.st_mode & stat.S_IXOTH)


def _open_to_group(place: Path | str, account: Account, rights: int) -> None:
    """Of what is ours alone; a link, and what somebody else has, stays as it is."""
    # What is looked at is what is changed: of staging, code in the engine can put a link in its place meanwhile.
    opened = os.open(place, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(opened)
        if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid():
            return
        os.chown(f"/proc/self/fd/{opened}", -1, account.gid)
        os.chmod(f"/proc/self/fd/{opened}", stat.S_IMODE(found.st_mode) & 0o700 | rights)
    finally:
        os.close(opened)
