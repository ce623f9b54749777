"""The process in which a run's own Python runs: `python -P code_host.py FD HELLO`.

FD is a socket whose other end the run's worker holds, HELLO is JSON. This file imports the standard library only until
it has forked: the first process, the guard, stays small. It waits, and when the run's worker is gone or says so, it
ends everything that the code has started. The second one does the work, with `drls_dagster.engine.code_work`.
"""

from __future__ import annotations

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
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any, NoReturn

SIGNALLED = 128
GRACE_SECONDS = 1.0  # for the code's own end, its threads and exit handlers
_PR_SET_PDEATHSIG = 1


def main(descriptor: int, hello: dict[str, Any]) -> NoReturn:
    """Be the guard; the process that this one forks does the work."""
    guard = os.getpid()
    parent = _parent()
    parent.adopt()
    signals = parent.Signals(signal.SIGTERM)
    worker = os.fork()
    if worker == 0:
        signals.forget()
        _die_with(guard)
        _work(descriptor, hello)
    status = _guarded(descriptor, worker, parent, signals)
    shutil.rmtree(hello["folder"], ignore_errors=True)  # in a fence it can be emptied, and the run's worker removes it
    code = os.waitstatus_to_exitcode(status)
    sys.exit(SIGNALLED - code if code < 0 else code)


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


def _guarded(descriptor: int, worker: int, parent: Any, signals: Any) -> int:
    """Wait for the worker's end, or bring it about, and end all that is left. Returns the worker's wait status.

    What the code started in the background becomes a child of this process when its own parent ends.
    """
    waiting = select.poll()
    waiting.register(descriptor, select.POLLRDHUP)
    waiting.register(signals, select.POLLIN)
    until: float | None = None
    while True:
        ready = dict(waiting.poll(None if until is None else max(0, until - time.monotonic()) * 1000))
        if (until is not None and not ready) or signal.SIGTERM in signals.read():
            return parent.end_children(worker)
        status = parent.ended(worker)
        if status is not None:
            parent.end_children()
            return status
        if descriptor in ready:
            waiting.unregister(descriptor)
            until = time.monotonic() + GRACE_SECONDS


def _parent() -> Any:
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fences", "parent.py")
    spec = spec_from_file_location("parent", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))
