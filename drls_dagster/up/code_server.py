"""A code server of `drls up`: Dagster's own, whose location the warm host serves from a fork.

Dagster starts a Python for each reload of a location, which imports for seconds what the one before had imported.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from drls_dagster.dagster_private.code_servers import main, start_by
from drls_dagster.gate.warm_host import WarmHostError, host_here
from drls_dagster.processes import process_is, started_at

_PYTHON = [sys.executable, "-m", "dagster"]
_LOOK_SECONDS = 0.05


class Forked(subprocess.Popen[Any]):
    """A process that another one has forked, for who expects one of its own. Its exit code is not known."""

    def __init__(self, pid: int) -> None:
        # Not that of Popen, which starts a process.
        self.pid, self.returncode = pid, None
        self.args = _PYTHON
        self._created = started_at(pid)

    def __del__(self) -> None:
        return None

    def poll(self) -> int | None:
        if self.returncode is None and not process_is(self.pid, self._created):
            self.returncode = 1
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() >= until:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            time.sleep(_LOOK_SECONDS)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(parts: Sequence[str]) -> Forked | None:
    """The process that serves a location's code; None where the warm host cannot start it."""
    host = host_here()
    if host is None or list(parts[: len(_PYTHON)]) != _PYTHON:
        return None
    try:
        pid = host.serve(parts[len(_PYTHON) :], os.environ, os.getcwd(), (1, 2))
    except WarmHostError:
        return None  # two would serve one socket for a moment; the second has it
    return None if pid is None else Forked(pid)


if __name__ == "__main__":
    start_by(start)
    main()
