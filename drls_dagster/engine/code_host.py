"""The process in which a run's own Python runs: `python -P code_host.py FD HELLO`.

FD is a socket whose other end the run's worker holds, HELLO is JSON. This file imports the standard library only until
it has forked: the first process, the guard, stays small. It waits, and when the run's worker is gone or says so, it
ends everything that the code has started. The second one does the work, with `drls_dagster.engine.code_work`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from typing import Any, NoReturn

SIGNALLED = 128
GRACE_SECONDS = 1.0  # for the code's own end, its threads and exit handlers
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main(descriptor: int, hello: dict[str, Any]) -> NoReturn:
    """Be the guard; the process that this one forks does the work."""
    guard = os.getpid()
    worker = os.fork()
    if worker == 0:
        _die_with(guard)
        _work(descriptor, hello)
    sys.exit(_guarded(descriptor, worker, hello["folder"]))


def _die_with(guard: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != guard:
        os._exit(1)


def _work(descriptor: int, hello: dict[str, Any]) -> NoReturn:
    os.set_inheritable(descriptor, False)
    sys.path[:] = hello["path"]
    sys.meta_path.insert(0, _Packages(hello["packages"]))
    from drls_dagster.engine import code_work

    code_work.work(socket.socket(fileno=descriptor), hello["block"])


class _Packages:
    """Finds packages of DRLS in a checkout whose root cannot be listed from inside the fence."""

    def __init__(self, folders: dict[str, str]) -> None:
        self._folders = folders

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        folder = self._folders.get(name)
        if folder is None:
            return None
        return spec_from_file_location(name, f"{folder}/__init__.py", submodule_search_locations=[folder])


def _guarded(descriptor: int, worker: int, folder: str) -> int:
    """Wait for the worker's end, or bring it about. Returns its exit code, or 128 and the signal that it died of.

    What the code started in the background becomes a child of this process when its own parent ends.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: _end_all(worker))
    end = os.pidfd_open(worker)
    waiting = select.poll()
    waiting.register(descriptor, select.POLLRDHUP)
    waiting.register(end, select.POLLIN)
    until: float | None = None
    while True:
        ready = dict(waiting.poll(None if until is None else max(0, until - time.monotonic()) * 1000))
        if end in ready or (until is not None and not ready):
            break
        if descriptor in ready:
            waiting.unregister(descriptor)
            until = time.monotonic() + GRACE_SECONDS
    code = os.waitstatus_to_exitcode(_end_all(worker))
    shutil.rmtree(folder, ignore_errors=True)  # in a fence it can be emptied, and the run's worker removes it
    return SIGNALLED - code if code < 0 else code


def _end_all(worker: int) -> int:
    """Kill all processes below this one, and theirs, which become children of this one. Returns the worker's status."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    found = 0
    while True:
        _kill_children()
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return found
        if pid == worker:
            found = status


def _kill_children() -> None:
    me = os.getpid()
    if me == 1:  # of a namespace of process ids, in which there is nobody else
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        return
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    state, parent = file.read().rpartition(")")[2].split()[:2]
            except OSError:  # it has ended
                continue
            if int(parent) == me and state != "Z":
                os.kill(int(name), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))
