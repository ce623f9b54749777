"""Where a process runs, so that a pid means something to whoever reads it elsewhere.

A host name is not enough: containers share it or change it, and two homes on one machine know nothing of each other.
"""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

import psutil

from drls_dagster.private_home import private_home
from drls_dagster.processes import process_is
from drls_dagster.settings import Settings
from lifecycle.private_files import write_private

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PIDS = Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class Place:
    """A home as one machine sees it: `boot` is its current start, `pids` its namespace of process ids."""

    home: str
    boot: str
    pids: str
    host: str

    def __str__(self) -> str:
        """As the ledger keeps it."""
        return f"{self.home}/{self.boot}/{self.pids}"

    def is_mine(self, place: str | None, host: str) -> bool:
        """Whether what ran at `place` on `host` ran here: its processes are gone, or this process can see them."""
        return host == self.host if place is None else place == str(self) or self._is_before(place, host)

    def is_gone(self, place: str | None, host: str, pid: int, created: float) -> bool | None:
        """Whether that process has ended; None where this machine cannot tell."""
        if not self.is_mine(place, host):
            return None
        return self._is_before(place, host) or not process_is(pid, created)

    def _is_before(self, place: str | None, host: str) -> bool:
        """Whether that was here before the machine was restarted: nothing of it can still run."""
        home, _, rest = (place or "").partition("/")
        return home == self.home and host == self.host and rest.split("/")[0] != self.boot


@dataclass(frozen=True)
class Worker:
    """A process that executes runs: `place` is where its pid means something, `host` is for people."""

    place: str
    host: str
    pid: int
    created: float


def this_worker(place: Place) -> Worker:
    """This process, at `place`."""
    return Worker(str(place), place.host, os.getpid(), psutil.Process().create_time())


def place_of(settings: Settings) -> Place:
    """This process's place. The first one makes the home's id."""
    file = private_home(settings.home) / "home-id"
    if not file.exists():
        write_private(file, uuid.uuid4().hex, replace=False)
    boot = _BOOT.read_text().strip() if _BOOT.exists() else "unknown"
    pids = os.readlink(_PIDS) if _PIDS.exists() else "unknown"
    return Place(file.read_text().strip(), boot, pids, socket.gethostname())
