"""Where an engine keeps what it writes while it runs: folders that only its owner can enter, new at each start.

    DRLS_HOME/engine/ray            Ray's sessions: sockets, logs, spilled objects, and the executors' folders
    DRLS_HOME/engine/scratch/spark  what Spark shuffles and spills
    DRLS_HOME/engine/scratch/tmp    temporary files of all its processes

The kernel takes 107 bytes as the name of a socket, of which Ray needs 66 below `ray`. Where DRLS_HOME is too long,
`ray` is a link to a folder in the system's temporary folder.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from drls_dagster.engine.state import folder
from drls_dagster.fences.fences import account_of
from drls_dagster.fences.reach import let_pass
from drls_dagster.settings import Settings

_LONGEST = 107 - 66
_NAMES = ("ray", "scratch")
_OUTSIDE = re.compile(r"drls-[0-9a-f]{12}")


def ray_folder(settings: Settings) -> Path:
    """Where Ray makes its sessions. It opens this folder to everybody, so it is below a private one."""
    return Path(os.path.realpath(settings.home / "engine" / "ray")) / "r"


def spark_folder(settings: Settings) -> Path:
    return settings.home / "engine" / "scratch" / "spark"


def temporary_folder(settings: Settings) -> Path:
    return settings.home / "engine" / "scratch" / "tmp"


def make_places(settings: Settings) -> None:
    """New, empty folders, also after an engine that was killed."""
    remove_places(settings)
    engine = folder(settings)
    for name in _NAMES:
        path = engine / name
        if name == "ray" and len(os.fsencode(os.path.realpath(path))) > _LONGEST:
            path = _outside(path)
        path.mkdir(mode=0o700)
    for path in (spark_folder(settings), temporary_folder(settings)):
        path.mkdir(mode=0o700)
    account = account_of(settings)
    engine.chmod(0o700)
    for path in (engine, engine / "scratch", temporary_folder(settings)):
        let_pass(path, account)


def java_places(settings: Settings) -> list[str]:
    """Java options: it asks the system for its temporary folder and its user's home, which are not the engine's."""
    return [f'"-D{name}={temporary_folder(settings)}"' for name in ("java.io.tmpdir", "jna.tmpdir", "user.home")]


def remove_places(settings: Settings) -> None:
    """Remove them, with what an engine left there."""
    for name in _NAMES:
        path = settings.home / "engine" / name
        if path.is_symlink():
            # Code in the engine can write here: a link of its own is removed, and not what it leads to.
            if _OUTSIDE.fullmatch(path.readlink().name) and path.readlink().parent in _parents():
                _remove(path.readlink())
            path.unlink(missing_ok=True)
        else:
            _remove(path)


def empty_places(settings: Settings) -> None:
    """Remove what is in them, as an engine does at its end; all that it can.

    It cannot remove a folder that `ray` links to, which is mounted where it is: the link stays, so that the next start
    or stop finds the folder.
    """
    for name in _NAMES:
        path = settings.home / "engine" / name
        if path.is_symlink():
            with suppress(FileNotFoundError):
                for inside in path.iterdir():
                    if inside.is_symlink() or not inside.is_dir():
                        inside.unlink(missing_ok=True)
                    _remove(inside)
        else:
            _remove(path)


def _outside(link: Path) -> Path:
    """A place with a short name; the link to it is there first, so that no start loses track of it."""
    names = [parent / f"drls-{secrets.token_hex(6)}" for parent in _parents()]
    short = next((name for name in names if len(os.fsencode(os.path.realpath(name))) <= _LONGEST), names[-1])
    link.symlink_to(short)
    return short


def _parents() -> list[Path]:
    return [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108


def _remove(path: Path) -> None:
    """Not what another account has made under that name since."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if found.st_uid == os.geteuid() and stat.S_ISDIR(found.st_mode):
        shutil.rmtree(path, ignore_errors=True)
