"""The process that watches over a command: `python -P command_host.py FD`.

FD is a socket whose other end the run's worker holds. One line of JSON comes over it: the command, its variables and
its folder, none of which the fence's own program has seen. When the command ends, when the worker is gone or says so,
everything that the command has started ends. This file imports the standard library only.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import shutil
import signal
import socket
import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_READ = 65536


def main(descriptor: int) -> NoReturn:
    line = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    parent = _parent()
    parent.adopt()
    signals = parent.Signals(signal.SIGTERM)
    said = _hear(line)
    failed, failing = os.pipe()
    child = os.fork()
    if child == 0:
        signals.forget()
        _become(said, failing)
    os.close(failing)
    refused = os.read(failed, 64)
    os.close(failed)
    status = _ended(line, child, parent, signals, said.get("folder"))
    answer = {"refused": int(refused)} if refused else {"status": os.waitstatus_to_exitcode(status)}
    try:
        line.sendall(json.dumps(answer).encode() + b"\n")
    except OSError:
        sys.exit(1)  # nobody asks now
    sys.exit(0)


def _hear(line: socket.socket) -> dict[str, Any]:
    found = b""
    while not found.endswith(b"\n"):
        more = line.recv(_READ)
        if not more:
            sys.exit(1)
        found += more
    said: dict[str, Any] = json.loads(found)
    return said


def _become(said: dict[str, Any], failing: int) -> NoReturn:
    """Be the command. What keeps it from starting is written as its number."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(said["cwd"])
        command: list[str] = said["command"]
        os.execvpe(command[0], command, said["environment"])  # noqa: S606  becoming that program is the point
    except OSError as error:
        os.write(failing, str(error.errno or 1).encode())
    os._exit(127)


def _ended(line: socket.socket, child: int, parent: Any, signals: Any, folder: str | None) -> int:
    """Wait for the command's end, or bring it about, and end all that is left; the command's wait status."""
    waiting = select.poll()
    waiting.register(line, select.POLLRDHUP)
    waiting.register(signals, select.POLLIN)
    while True:
        ready = dict(waiting.poll())
        if line.fileno() in ready or signal.SIGTERM in signals.read():
            status = parent.end_children(child)
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)  # in a fence it can be emptied
            sys.exit(1) if status is None else None
            return status
        status = parent.ended(child)
        if status is not None:
            parent.end_children()
            return status


def _parent() -> Any:
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fences", "parent.py")
    spec = spec_from_file_location("parent", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(int(sys.argv[1]))
