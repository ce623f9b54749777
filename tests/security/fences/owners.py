"""Whose installation is attacked: that of whoever runs the tests, or, where that is root, of an account without rights.

The account is `nobody`. The Python of these tests may lie below a folder that it cannot enter, such as /root: it then
sees an empty folder in that place, in a mount namespace of its own, with nothing but that Python in it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from drls_dagster.fences.fences import can_hide

ACCOUNT = "nobody"
_OURS = {Path(place).resolve() for place in (sys.prefix, sys.base_prefix)}
# $1 is where to keep what is shown meanwhile, $2 the account; then pairs of a closed folder and what to show in it.
_SHOWING = """
set -e
mount --make-rprivate /
kept=$1 uid=$2 gid=$3; shift 3
while [ "$1" != -- ]; do
  mount --bind "$2" "$kept"
  mount -t tmpfs -o mode=755 tmpfs "$1"
  mkdir -p "$2"
  mount --bind "$kept" "$2"
  umount "$kept"
  shift 2
done
shift
exec setpriv --reuid "$uid" --regid "$gid" --clear-groups "$@"
"""


@dataclass(frozen=True)
class Owner:
    """Whoever an installation belongs to; `uid` None: the account of the tests."""

    folder: Path
    uid: int | None = None
    gid: int = 0
    name: str = "home"  # of DRLS_HOME in `folder`
    code: str | None = None  # the account of pipeline code, where it has one of its own

    def command(self, command: Sequence[str]) -> list[str]:
        """`command`, executed by this owner."""
        if self.uid is None:
            return list(command)
        kept = self.folder / "kept"
        shown = [part for closed, place in _closed() for part in (str(closed), str(place))]
        who = [str(kept), str(self.uid), str(self.gid)]
        return ["unshare", "--mount", "sh", "-c", _SHOWING, "sh", *who, *shown, "--", *command]

    def environment(self, **more: str) -> dict[str, str]:
        """Without DRLS's own variables; with a home and a folder for temporary files of this owner."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("DRLS_", "DAGSTER_"))}
        own = {} if self.uid is None else {"HOME": str(self.folder), "TMPDIR": str(self.folder)}
        fence = {} if self.code is None else {"DRLS_FENCE__ACCOUNT": self.code}
        return {**kept, **own, **fence, "DRLS_HOME": str(self.home), **more}

    @property
    def home(self) -> Path:
        return self.folder / self.name

    def run(self, *command: str, timeout: float = 120, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(command),
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def drls(self, *arguments: str, timeout: float = 120, **more: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "drls_dagster.cli.main", *arguments, timeout=timeout, **more)


@contextmanager
def owner_of(kind: str) -> Iterator[Owner]:
    """The owner of an installation in a folder of its own; skips the test where there is no such account to become."""
    # Not pytest's own folder, which every start of pytest closes to other accounts.
    with tempfile.TemporaryDirectory(prefix="drls-owner-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        if kind == OWNERS[0]:
            yield Owner(folder)
            return
        if kind == WITH_ACCOUNT:
            if os.geteuid() != 0 or not can_hide():
                pytest.skip("only root can give pipeline code another account, in a mount namespace")
            yield Owner(folder, code=ACCOUNT)
            return
        if os.geteuid() != 0 or not (shutil.which("setpriv") and shutil.which("unshare")):
            pytest.skip("only root can become another account")
        entry = pwd.getpwnam(ACCOUNT)
        (folder / "kept").mkdir()
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        owner = Owner(folder, entry.pw_uid, entry.pw_gid)
        if owner.run(sys.executable, "-c", "").returncode:
            pytest.skip("no mount namespace can be made here, and this Python is in a folder that is closed to others")
        yield owner


OWNERS = ("the account of the tests", "an account without rights")
WITH_ACCOUNT = "root, whose pipeline code has another account"
EVERY_OWNER = (OWNERS[0], *(pytest.param(one, marks=pytest.mark.slow) for one in (OWNERS[1], WITH_ACCOUNT)))


def _closed() -> list[tuple[Path, Path]]:
    """Folders that others cannot enter, each with the place in it that this Python needs."""
    found: dict[Path, Path] = {}
    for place in sorted(_OURS):
        closed = [one for one in (*reversed(place.parents), place) if not one.stat().st_mode & 0o001]
        if closed:
            found.setdefault(closed[0], place)
    return list(found.items())
