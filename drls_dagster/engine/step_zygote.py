"""The parent of step hosts: one per Ray worker, with a single thread, that has imported what steps need.

It forks a host, which confines itself before it runs anything else, so that a fenced process costs milliseconds. It
runs no pipeline code. However a host ends, everything that the host started and its folders are gone when this process
says so. It ends with its Ray worker.

`python -P -m drls_dagster.engine.step_zygote DESCRIPTOR`: a Unix socket, on which the worker says "open" (with the
host's own channel) or "end", and hears "opened" and "ended".
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import traceback
from dataclasses import dataclass
from typing import Any, NoReturn

from drls_dagster.engine import step_host
from drls_dagster.engine.framing import receive_with_descriptor, send
from drls_dagster.fences import enter, parent

OFTEN_USED = ("numpy", "pandas", "pyarrow.compute", "pyarrow.fs", "pyarrow.parquet")


@dataclass
class Host:
    number: int
    pid: int
    pidfd: int
    folders: list[str]


class Zygote:
    def __init__(self, control: socket.socket, signals: parent.Signals) -> None:
        self.control = control
        self.signals = signals
        self.host: Host | None = None

    def serve(self) -> None:
        try:
            while self._look():
                pass
        finally:
            self.end()

    def _look(self) -> bool:
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(self.signals, select.POLLIN)
        if self.host is not None:
            poll.register(self.host.pidfd, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll()}
        if self.signals.fileno() in ready and signal.SIGTERM in self.signals.read():
            return False
        if self.host is not None and self.host.pidfd in ready:
            self.end()
        if self.control.fileno() not in ready:
            return True
        try:
            message, channel = receive_with_descriptor(self.control)
        except (EOFError, ConnectionError):
            return False
        self.end()
        if message["do"] == "open" and channel is not None:
            self._open(message, channel)
        return True

    def _open(self, message: dict[str, Any], channel: int) -> None:
        zygote = os.getpid()
        pid = os.fork()
        if pid == 0:
            self.signals.forget()
            become_host(message, channel, zygote)
        os.close(channel)
        self.host = Host(message["number"], pid, os.pidfd_open(pid), message["folders"])
        send(self.control, {"opened": message["number"], "pid": pid})

    def end(self) -> None:
        """End the host with all that it started, remove its folders, and say so."""
        if self.host is None:
            return
        host, self.host = self.host, None
        status = os.waitstatus_to_exitcode(parent.end_children(host.pid) or 0)
        os.close(host.pidfd)
        for folder in host.folders:
            remove(folder)
        with contextlib.suppress(OSError):  # the worker may be gone
            send(self.control, {"ended": host.number, "status": status})


def remove(folder: str) -> None:
    """Remove a folder, also where its owner closed a part of it to themselves."""

    def open_up(_: object, path: str, __: object) -> None:
        with contextlib.suppress(OSError):
            if path != folder:  # what is above it is not its own
                os.chmod(os.path.dirname(path), 0o700)
            if not os.path.islink(path):
                os.chmod(path, 0o700)

    shutil.rmtree(folder, onerror=open_up)
    shutil.rmtree(folder, ignore_errors=True)


def become_host(message: dict[str, Any], channel: int, zygote: int) -> NoReturn:
    """The forked process: no pipeline code runs in it before its fence is closed."""
    code = 1
    try:
        connection = socket.socket(fileno=channel)
        try:
            _confine(message, channel)
        except OSError as error:
            send(connection, {"refused": str(error)})
        else:
            if os.getppid() == zygote:  # else it ended before this process was bound to its end
                send(connection, {"confined": True})
                step_host.serve(connection)
                code = 0
    except BaseException:  # noqa: BLE001  nothing of it may return into the zygote's own code
        traceback.print_exc()
    finally:
        os._exit(code)


def _confine(message: dict[str, Any], channel: int) -> None:
    os.setsid()
    os.closerange(3, channel)
    os.closerange(channel + 1, os.sysconf("SC_OPEN_MAX"))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(message["environment"])
    os.chdir(message["environment"]["TMPDIR"])
    if len(os.listdir("/proc/self/task")) != 1:
        raise enter.CannotConfine("the process has more than one thread")
    enter.confine(json.loads(message["fence"]))


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent.adopt()
    signals = parent.Signals(signal.SIGTERM)  # before anything can start a thread, which would get them
    for name in OFTEN_USED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    send(control, {"ready": True})
    Zygote(control, signals).serve()


if __name__ == "__main__":
    main()
