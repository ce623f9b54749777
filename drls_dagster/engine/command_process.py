"""A command in its fence, as the run's worker sees it: it ends with the run, and within its memory and time.

`drls_dagster.engine.command_host` is the process between this one and the command.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drls_dagster.engine import command_host
from drls_dagster.engine.processes import end_all
from drls_dagster.errors import DrlsError
from drls_dagster.fences.environment import code_environment
from drls_dagster.fences.fence import Fence
from drls_dagster.fences.fences import confined
from drls_dagster.settings import Settings

MARK = "DRLS_COMMAND"  # in the environment of a command and of all below it
END_SECONDS = 3.0
NOT_CONFINED = 126
LOOK_SECONDS = 0.2
_LONGEST = 20_000  # bytes of a line
_BYTES = 65536
_KEPT = 300  # letters of the last line


class CommandFailed(DrlsError):
    """A command ended without success. It may work another time."""


class CommandRefused(DrlsError):
    """A command could not be started, and will not be the next time."""


@dataclass(frozen=True)
class Command:
    """What to run, where, with which variables, and how much it may take. `folder` goes if the run is killed."""

    command: Sequence[str]
    environment: Mapping[str, str]
    cwd: Path
    memory: int
    seconds: float
    on_line: Callable[[str], None]
    on_look: Callable[[], None] = lambda: None
    mask: Callable[[str], str] = lambda text: text


def run_command(settings: Settings, fence: Fence | None, asked: Command) -> None:
    """Returns when the command has ended well, and nothing of it is left.

    Raises CommandRefused, and CommandFailed with what became of it. Whatever is raised here ends it.
    """
    process = _Process(settings, fence, asked)
    try:
        process.wait()
    finally:
        process.end()
    process.judge()


class _Process:
    def __init__(self, settings: Settings, fence: Fence | None, asked: Command) -> None:
        self._asked = asked
        self._mark = uuid.uuid4().hex
        self._line, theirs = socket.socketpair()
        self._output, writing = os.pipe()
        os.set_blocking(self._output, False)
        if fence is not None and fence.account is not None:
            os.fchown(writing, fence.account.uid, fence.account.gid)  # to open it again, as /dev/stderr
        with theirs, open(writing, "wb") as written:
            self._process = subprocess.Popen(
                confined(fence, [sys.executable, "-P", command_host.__file__, str(theirs.fileno())]),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                env=code_environment(settings, asked.cwd),
                cwd="/",
                start_new_session=True,  # Ctrl-C at a terminal is for the run's worker
            )
        self._rest = b""
        self._last = ""
        self._answer: dict[str, int] = {}
        self._stopped = ""

    def wait(self) -> None:
        asked = self._asked
        said = {
            "command": list(asked.command),
            "environment": {**asked.environment, MARK: self._mark},
            "cwd": str(asked.cwd),
            "folder": str(asked.cwd),
        }
        with contextlib.suppress(OSError):  # it ended at once; its output says why
            self._line.sendall(json.dumps(said).encode() + b"\n")
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        poll.register(self._line, select.POLLIN)
        end, heard = time.monotonic() + asked.seconds, b""
        while not heard.endswith(b"\n"):
            ready = dict(poll.poll(LOOK_SECONDS * 1000))
            if self._output in ready and self._pass_on() == b"":
                poll.unregister(self._output)
            if self._line.fileno() in ready:
                more = self._line.recv(_BYTES)
                if not more:
                    break
                heard += more
            asked.on_look()
            if time.monotonic() > end:
                self._stopped = (
                    f"it took longer than its timeout of {_duration(asked.seconds)} and was stopped; raise "
                    "resources.timeout, or give it less to do"
                )
                return
            if self._memory() > asked.memory:
                self._stopped = (
                    f"it took more than its {asked.memory // 2**20} MB of memory and was stopped; raise "
                    "resources.memory, or let it work in smaller parts"
                )
                return
        while self._pass_on():
            pass
        with contextlib.suppress(ValueError):
            self._answer = json.loads(heard)

    def end(self) -> None:
        """Have everything ended that is not; what it wrote until then is passed on."""
        self._line.close()
        if self._process.poll() is None and not self._answer:
            self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if not self._answer:  # its host may have been killed before it could end the others
            end_all(self._mark, patience=0, mark=MARK)
        while self._pass_on():
            pass
        if self._rest:
            self._lines(b"\n")
        os.close(self._output)
        self._asked.on_look()

    def judge(self) -> None:
        """Raises what the end means."""
        if self._stopped:
            raise CommandFailed(self._stopped)
        program = self._asked.command[0]
        number = self._answer.get("refused")
        if number is not None:
            raise CommandRefused(_refusal(program, number))
        status = self._answer.get("status")
        said = f": {self._last}" if self._last else ""
        if status is None and self._process.returncode == NOT_CONFINED:
            raise DrlsError(f"its fence could not be made{said}")
        if status is None:
            raise CommandFailed(f"it was killed together with the process that watches over it{said}")
        if status == -signal.SIGKILL:
            raise CommandFailed("it was killed, most likely because the machine ran out of memory")
        if status < 0:
            raise CommandFailed(f"it crashed ({_signal_name(-status)}){said}")
        if status:
            raise CommandFailed(f"it ended with exit code {status}{said}")

    def _memory(self) -> int:
        """Bytes that all its processes hold; pages that they share count once, where that can be seen."""
        found = _tree(self._process.pid)
        resident = sum(map(_resident, found))
        return resident if resident <= self._asked.memory else sum(map(_proportional, found))

    def _pass_on(self) -> bytes | None:
        """Some of what was written; None where there is nothing now, b"" where nothing will come."""
        try:
            text = os.read(self._output, _BYTES)
        except BlockingIOError:
            return None
        self._lines(text)
        return text

    def _lines(self, text: bytes) -> None:
        *whole, self._rest = (self._rest + text).split(b"\n")
        if len(self._rest) > _LONGEST:
            whole, self._rest = [*whole, self._rest], b""
        for one in whole:
            line = self._asked.mask(one[:_LONGEST].decode(errors="backslashreplace").rstrip("\r"))
            self._asked.on_line(line)
            if line.strip():
                self._last = line.strip()[:_KEPT]


def _tree(pid: int) -> list[int]:
    """The process and all below it. Looked at often, so without a look at all others of the machine."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{thread}/children") as file:
                    found += map(int, file.read().split())
    return found


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:")), 0)
    return _resident(pid)


def _refusal(program: str, number: int) -> str:
    match number:
        case errno.ENOENT:
            return (
                f"'{program}', or the interpreter that its first line names, was not found; name a script next to the "
                "pipeline file, or a program that this machine has"
            )
        case errno.EACCES | errno.EPERM:
            return f"'{program}' may not be executed in the fence; add its folder to [fence] read in drls.toml"
        case errno.ENOEXEC:
            return f"'{program}' is no program; begin it with #! and its interpreter, or name the interpreter"
        case _:
            return f"'{program}' cannot be started: {os.strerror(number)}"


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def _duration(seconds: float) -> str:
    from lifecycle.spec.base import format_duration

    return format_duration(seconds)
