"""A command of `drls` in a fork of the warm host, for a process that waits for it and looks like it."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence

from drls_dagster.up.warm_host.work import become

# Above this package, so it is found by its name.
_COMMANDS = "drls_dagster.cli.main"
INTERRUPTED = 130


def run_command(arguments: Sequence[str], environment: Mapping[str, str], folder: str, umask: int, asking: int) -> None:
    """Is `drls` with these arguments, with the variables, the folder and the terminal of who asked at `asking`."""
    line = socket.socket(fileno=asking)
    line.setblocking(True)
    become("drls", arguments, environment, folder)
    os.umask(umask)
    time.tzset()
    _forget_the_log()
    _take_the_terminal()
    try:
        _say(line, {"pid": os.getpid()})
        threading.Thread(target=_end_with, args=(line,), daemon=True).start()
        code = importlib.import_module(_COMMANDS).finished(arguments)
    except KeyboardInterrupt:  # before the command could say so itself
        code = INTERRUPTED
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asked leaves on that word
    _say(line, {"exit": code})
    # As the command itself ends.
    os._exit(code)


def _forget_the_log() -> None:
    """The host writes one, with more in it than a person at a terminal wants to know."""
    root = logging.getLogger()
    for one in root.handlers.copy():
        root.removeHandler(one)
    root.setLevel(logging.WARNING)


def _take_the_terminal() -> None:
    """The streams of the host are another file's, and buffer as that one needs."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        by_line = name == "stderr" or os.isatty(number)
        stream = os.fdopen(number, mode, buffering=1 if by_line else -1, closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _end_with(line: socket.socket) -> None:
    """Who asked says nothing more; when it is gone, nobody wants the command, and Ctrl-C has nowhere to come from."""
    with contextlib.suppress(OSError):
        line.recv(1)
    os.kill(os.getpid(), signal.SIGINT)


def _say(line: socket.socket, answer: dict[str, int]) -> None:
    try:
        line.sendall(json.dumps(answer).encode() + b"\n")
    except OSError:
        return  # nobody waits
