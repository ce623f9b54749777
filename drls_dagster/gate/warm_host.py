"""The warm host of `drls up`, for those that ask it: it starts a process with the imports done in a few milliseconds.

The host forks (ADR 49). It answers one line of JSON with another on a Unix socket that only its user can reach; the
asking process may send along the files that become the output of a process.

Where no mount namespace can be made, code in the engine reaches that socket too, and what the host executes has all
rights of its user. So whoever asks shows a key, from a file that no fence opens.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drls_dagster.home import home_folder

# Set by `drls up` for its processes: the socket of the warm host.
VARIABLE = "DRLS_WARM_HOST"
NAME = "warm-host"  # among the processes of `drls up`
LAUNCH, SERVE, COMMAND, IS_READY = "launch", "serve", "command", "ready"
# In DRLS_HOME/up: where the host listens, for commands, which are not started by `drls up`; what it wants to be shown.
PLACE = "warm-host"
KEY = "warm-host.key"
LONGEST_LINE = 1 << 20
_SECONDS, _LOOK_SECONDS = 60.0, 1.0
_WRITTEN = os.stat(__file__).st_mtime_ns  # when it was imported


class WarmHostError(Exception):
    """A warm host ended in the middle of a request."""


class Command:
    """A command that the host executes in a process of its own, as long as the process lives that asked for it."""

    def __init__(self, asking: socket.socket, pid: int) -> None:
        self._asking = asking
        self.pid = pid

    def wait(self) -> int:
        """Its exit code."""
        self._asking.settimeout(None)
        code: int = _answer(self._asking)["exit"]
        return code

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        os.kill(self.pid, signal.SIGINT)

    def close(self) -> None:
        """Ends the command that nobody waits for any longer."""
        self._asking.close()


class WarmHost:
    """Where a warm host listens. What it is asked while it still imports waits for that.

    `home`: whose `drls up` it belongs to; default: this process's.
    """

    def __init__(self, place: Path, home: Path | None = None) -> None:
        self._place = place
        self._home = home

    def launch(self, run_id: str) -> int | None:
        """Starts the process of a run: its pid. None where no host is there, and nothing was started.

        Raises WarmHostError where nobody can say whether it was.
        """
        answer = self._ask({"ask": LAUNCH, "run_id": run_id})
        return None if answer is None else answer["pid"]

    def serve(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: str, output: tuple[int, int]
    ) -> int | None:
        """Starts a code server, `dagster` with these arguments: its pid. `output`: the files for what it prints.

        None and WarmHostError as for a run.
        """
        asked = {"ask": SERVE, "arguments": list(arguments), "environment": dict(environment), "folder": folder}
        answer = self._ask(asked, files=output)
        return None if answer is None else answer["pid"]

    def command(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: str, files: tuple[int, int, int]
    ) -> Command | None:
        """Starts `drls` with these arguments; `files` become its input, output and errors.

        None where no host is there that runs the code of this process; WarmHostError as for a run.
        """
        asked = {
            "ask": COMMAND,
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": folder,
            "umask": _umask(),
            "code": code_here(),
        }
        asking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            answer = self._asked_by(asking, asked, _SECONDS, files)
            if answer is not None and "pid" in answer:
                return Command(asking, answer["pid"])
        except WarmHostError:
            asking.close()
            raise
        asking.close()
        return None

    def is_ready(self) -> bool:
        """Whether it has imported what it needs."""
        try:
            return self._ask({"ask": IS_READY}, _LOOK_SECONDS) is not None
        except WarmHostError:
            return False

    def _ask(
        self, asked: Mapping[str, Any], seconds: float = _SECONDS, files: Sequence[int] = ()
    ) -> dict[str, Any] | None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            return self._asked_by(asking, asked, seconds, files)

    def _asked_by(
        self, asking: socket.socket, asked: Mapping[str, Any], seconds: float, files: Sequence[int]
    ) -> dict[str, Any] | None:
        asking.settimeout(seconds)
        try:
            asking.connect(str(self._place))
        except OSError:
            return None
        line = json.dumps({**asked, "key": key_of(self._home or home_folder())}).encode() + b"\n"
        try:
            rest = line[socket.send_fds(asking, [line], files) :] if files else line
            if rest:  # an empty one is an error where the host has answered already
                asking.sendall(rest)
        except OSError as error:
            raise WarmHostError(_told(error)) from None
        return _answer(asking)


def _answer(asking: socket.socket) -> dict[str, Any]:
    """One line. Raises WarmHostError where none comes."""
    try:
        with asking.makefile("rb", buffering=0) as reading:
            answer = reading.readline(LONGEST_LINE)
    except OSError as error:
        raise WarmHostError(_told(error)) from None
    if not answer.endswith(b"\n"):
        raise WarmHostError(_told("it ended"))
    return json.loads(answer)


def _told(why: object) -> str:
    return f"the warm host of drls up did not answer ({why}); try again"


def _umask() -> int:
    """It can only be read by setting it."""
    found = os.umask(0o077)
    os.umask(found)
    return found


def code_here() -> list[str]:
    """Which Python and which DRLS this process runs; after an upgrade a host still has the ones before."""
    return [sys.executable, __file__, str(_WRITTEN)]


def key_of(home: Path) -> str:
    """What the host of a home wants to be shown; empty without one."""
    try:
        return (home / "up" / KEY).read_text()
    except FileNotFoundError:
        return ""


def host_of(home: Path) -> WarmHost | None:
    """The warm host of the `drls up` of a home, where it is this user's and has imported what it needs."""
    try:
        place = Path((home / "up" / PLACE).read_text())
        if place.stat().st_uid != os.geteuid():
            return None
    except OSError:
        return None
    host = WarmHost(place, home)
    return host if host.is_ready() else None


def host_here() -> WarmHost | None:
    """The warm host of the `drls up` that this process belongs to."""
    place = os.environ.get(VARIABLE)
    return WarmHost(Path(place)) if place else None
