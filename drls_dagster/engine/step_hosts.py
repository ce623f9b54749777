"""The Ray worker's side of step hosts: it has one at a time, for one step, and replaces it for another.

The worker checks what a host is given and what it leaves: it makes the code's folder and the host's own folders, copies
staged files that are not on this machine's file systems (so that a host needs no credentials), and moves a finished
file out of the host's reach. Of what a host says it believes a number of rows and the text of an error.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from drls_dagster.engine.abandoned import Abandoned
from drls_dagster.engine.code_folder import materialise
from drls_dagster.engine.framing import MOST, receive, send
from drls_dagster.engine.host_folders import make_host_folder
from drls_dagster.engine.processes import MARK, end_all
from drls_dagster.engine.step_request import RETRIES, File, ProcessRequest, StepCodeError, StepCrashed
from drls_dagster.errors import DrlsError
from drls_dagster.fences.environment import code_environment
from drls_dagster.fences.fence import Account
from drls_dagster.fences.fences import account_of, code_fence
from drls_dagster.fences.reach import hand_over, let_reach, let_read, readable_copy, take_back
from drls_dagster.settings import Settings
from drls_dagster.storage import filesystem_of

IDLE_SECONDS = 10.0  # how long a host waits for another part of its step
MOST_TOLD = 10_000  # letters of an error
STEP_MARK = "DRLS_STEP_HOST"  # in the environment of a zygote and of all below it
_LOCAL = pafs.LocalFileSystem()


class HostEnded(Exception):
    """The host's process is gone; `status` is its exit code, negative for a signal."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    @property
    def words(self) -> str:
        if self.status == -signal.SIGKILL:
            return "it was killed, most likely because memory ran out: lower batch_size or concurrency"
        if self.status < 0:
            name = signal.Signals(-self.status).name if -self.status in set(signal.Signals) else str(-self.status)
            return f"its function crashes the process ({name}); look at the native libraries that it uses"
        return f"its function ends the process with exit code {self.status}; let it return a table or raise an error"


@dataclass
class _Zygote:
    process: subprocess.Popen[bytes]
    control: socket.socket
    mark: str  # in its environment, and so in that of everything below it


@dataclass
class _Host:
    zygote: _Zygote
    number: int
    key: tuple[str, tuple[tuple[str, str], ...]]  # the step and the environment
    channel: socket.socket
    pidfd: int
    folder: Path  # where it writes what becomes the step's output
    folders: list[str]  # all that goes with it
    account: Account | None
    asked: int = 0  # how many parts


class StepHosts:
    """The zygote of this process and its host."""

    def __init__(self) -> None:
        self._line = threading.RLock()
        self._closing = threading.Lock()  # so that nobody signals by a descriptor that is closed
        self._zygote: _Zygote | None = None
        self._host: _Host | None = None
        self._number = 0

    def warm_up(self) -> None:
        """Start the zygote, before the first step waits for it."""
        with self._line:
            self._ready()

    def write(self, paths: Sequence[str], request: ProcessRequest, settings: Settings, gone: threading.Event) -> File:
        """One part of a step in its host: the file it became, with 0 rows when it gave none.

        Raises StepCodeError where the function is at fault, StepCrashed when the host ended each time, Abandoned when
        `gone` is set.
        """
        ended: HostEnded | None = None
        for _ in range(RETRIES + 1):
            if gone.is_set():
                raise Abandoned(request.ticket)
            with self._line:
                try:
                    host = self._host_for(request, settings)
                    if gone.is_set():  # whoever set it may have found no host to kill
                        raise Abandoned(request.ticket)
                    return self._ask(host, paths, request)
                except HostEnded as error:
                    ended = error
        raise StepCrashed(f"its host ended {RETRIES + 1} times without an answer: {ended.words if ended else ''}")

    def kill(self) -> None:
        """End the host in the middle of its work; whoever waits for it hears of it. Safe in any thread."""
        with self._closing, contextlib.suppress(OSError):
            host = self._host
            if host is not None:
                signal.pidfd_send_signal(host.pidfd, signal.SIGKILL)

    def end(self) -> None:
        """End the host and wait until nothing of it is left."""
        with self._line:
            if self._host is not None:
                self._end(self._host)

    def close(self) -> None:
        """End the zygote as well."""
        with self._line:
            self.end()
            self._forget_zygote()

    def _host_for(self, request: ProcessRequest, settings: Settings) -> _Host:
        environment = _environment(settings)
        key = (request.ticket, tuple(sorted(environment.items())))
        if self._host is not None and self._host.key == key:
            return self._host
        self.end()
        account = account_of(settings)
        sent, code, copies = _materialised(request, account)
        tmp, folder = Path(tempfile.mkdtemp(prefix="drls-step-")), _private_folder(request.output, account)
        hand_over(tmp, account)
        _let_read_inputs(request, account)
        fence = code_fence(settings, read=(*code, *_input_folders(request)), write=(str(folder), str(tmp)))
        if fence is None:
            raise DrlsError(f"node '{request.node}': this machine can no longer make a fence; run again")
        # What has to be hidden is hidden in the engine, where nobody can mount.
        fence = replace(fence, hide=(), dies_with_parent=True, own_pids=False)
        self._number += 1
        ours, theirs = socket.socketpair()
        message: dict[str, Any] = {
            "do": "open",
            "number": self._number,
            "fence": fence.to_json(),
            "environment": {**environment, "TMPDIR": str(tmp), "HOME": str(tmp)},
            "folders": [str(folder), str(tmp), *copies],
        }
        try:
            zygote = self._ready()
            message["environment"][STEP_MARK] = zygote.mark
            with theirs:
                send(zygote.control, message, theirs.fileno())
            pid = int(_hear(zygote, "opened", self._number)["pid"])
        except BaseException as error:
            ours.close()
            for one in message["folders"]:
                shutil.rmtree(one, ignore_errors=True)
            if isinstance(error, (EOFError, OSError)):
                self._forget_zygote()
                raise HostEnded(-signal.SIGKILL) from None
            raise
        self._host = host = _Host(
            zygote, self._number, key, ours, os.pidfd_open(pid), folder, message["folders"], account
        )
        told = self._answer(host)
        if "confined" not in told:
            self.end()
            raise DrlsError(f"node '{request.node}': its fence could not be made: {told.get('refused', told)}")
        self._tell(host, sent.model_dump(mode="json", exclude={"fence"}) | {"inputs": []})
        return host

    def _ask(self, host: _Host, paths: Sequence[str], request: ProcessRequest) -> File:
        name = f"{uuid.uuid4().hex}.parquet"
        host.asked += 1
        with _within_reach(paths, host) as reachable:
            self._tell(host, {"paths": reachable, "target": str(host.folder / name)})
            told = self._answer(host)
        idle = threading.Timer(IDLE_SECONDS, self._end_idle, (host, host.asked))
        idle.daemon = True
        idle.start()
        rows = told.get("rows")
        if type(rows) is not int or rows < 0:
            said = told.get("error") or f"node '{request.node}': its host gave no answer of use"
            raise StepCodeError(str(said)[:MOST_TOLD], str(told.get("details", "")))
        return _moved_out(host.folder / name, request, rows, host.account) if rows else ("", 0, 0)

    def _end_idle(self, host: _Host, asked: int) -> None:
        with self._line:
            if self._host is host and host.asked == asked:
                self.end()

    # What passes between the three processes.

    def _ready(self) -> _Zygote:
        if self._zygote is not None and self._zygote.process.poll() is None:
            return self._zygote
        self._forget_zygote()
        mark = uuid.uuid4().hex
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "drls_dagster.engine.step_zygote", str(theirs.fileno())],
                env=_zygote_environment(mark),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._zygote = _Zygote(process, ours, mark)
        _hear(self._zygote, "ready", True)
        return self._zygote

    def _tell(self, host: _Host, message: dict[str, Any]) -> None:
        try:
            send(host.channel, message)
        except OSError:
            raise HostEnded(self._end(host)) from None

    def _answer(self, host: _Host) -> dict[str, Any]:
        """What the host says. Raises HostEnded; nothing of it is left then."""
        poll = select.poll()
        poll.register(host.channel, select.POLLIN)
        poll.register(host.zygote.control, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll()}
        if host.channel.fileno() in ready:
            with contextlib.suppress(EOFError, OSError, ValueError):
                return receive(host.channel, MOST)
        raise HostEnded(self._end(host))

    def _end(self, host: _Host) -> int:
        """Have the host ended, if it has not, and wait until nothing of it is left; its exit code."""
        try:
            send(host.zygote.control, {"do": "end"})
            status = int(_hear(host.zygote, "ended", host.number)["status"])
        except (EOFError, OSError):
            self._forget_zygote()
            return -signal.SIGKILL
        self._forget(host)
        return status

    def _forget(self, host: _Host) -> None:
        with self._closing:
            if self._host is host:
                self._host = None
                host.channel.close()
                os.close(host.pidfd)

    def _forget_zygote(self) -> None:
        """It was killed; its host with it, but what that one had started may be left, and its folders are."""
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            zygote.control.close()
            zygote.process.kill()
            zygote.process.wait()
            end_all(zygote.mark, patience=0.5, mark=STEP_MARK)
        host = self._host
        if host is not None:
            for folder in host.folders:
                shutil.rmtree(folder, ignore_errors=True)
            self._forget(host)


def _hear(zygote: _Zygote, word: str, value: object) -> dict[str, Any]:
    """The zygote's message that says `value` of `word`; others are about hosts that are forgotten."""
    while True:
        message = receive(zygote.control)
        if message.get(word) == value:
            return message


def _zygote_environment(mark: str) -> dict[str, str]:
    """A host inherits the zygote's memory, so nothing secret may come into it."""
    plain = Settings.model_construct(home=Path(tempfile.gettempdir()))
    path = os.pathsep.join(dict.fromkeys(os.path.abspath(one or ".") for one in sys.path))
    return code_environment(plain, tempfile.gettempdir(), PYTHONPATH=path, **{STEP_MARK: mark}, **_engine_mark())


def _environment(settings: Settings) -> dict[str, str]:
    """A host's variables, but for its own folders. Ray says in them which GPUs a task may use."""
    return code_environment(settings, "", **_engine_mark())


def _engine_mark() -> dict[str, str]:
    return {MARK: os.environ[MARK]} if MARK in os.environ else {}


def _materialised(
    request: ProcessRequest, account: Account | None
) -> tuple[ProcessRequest, tuple[str, ...], tuple[str, ...]]:
    """The request with its code in a folder, which is made here; what the host may read for it; what goes with it."""
    code = request.code
    if code is None:
        return request, (), ()
    copies: tuple[str, ...] = ()
    if code.folder is None and code.files:
        code = code.model_copy(update={"folder": str(materialise(code.contents(), Path(code.root)))})
    if code.folder and code.is_placed and account is not None:
        copies = (tempfile.mkdtemp(prefix="drls-step-"),)
        code = code.model_copy(update={"folder": str(readable_copy(code.folder, Path(copies[0]), account))})
    return request.model_copy(update={"code": code}), (code.folder,) if code.folder else (), copies


def _input_folders(request: ProcessRequest) -> tuple[str, ...]:
    """Where the step's staged files are, of those on this machine's file systems."""
    places = (filesystem_of(path) for paths in request.inputs for path in paths)
    local = (os.path.dirname(name) for filesystem, name in places if isinstance(filesystem, pafs.LocalFileSystem))
    return tuple(dict.fromkeys(local))


def _let_read_inputs(request: ProcessRequest, account: Account | None) -> None:
    if account is not None:
        for folder in _input_folders(request):
            let_reach(folder, account)
            let_read((folder, *(str(one) for one in Path(folder).iterdir() if one.is_file())), account)


def _private_folder(output: str, account: Account | None) -> Path:
    """A new folder in which a host writes; on the output's file system, if that is this machine's."""
    filesystem, name = filesystem_of(output)
    if isinstance(filesystem, pafs.LocalFileSystem):
        Path(name).mkdir(parents=True, exist_ok=True)
        let_reach(name, account)
        made = make_host_folder(name)
    else:
        made = Path(tempfile.mkdtemp(prefix="drls-step-"))
    hand_over(made, account)
    return made


@contextlib.contextmanager
def _within_reach(paths: Sequence[str], host: _Host) -> Iterator[list[str]]:
    """The staged files as paths of this machine; those on other storage are copied to the host's folder meanwhile."""
    reachable: list[str] = []
    copies: list[Path] = []
    try:
        for path in paths:
            filesystem, name = filesystem_of(path)
            if isinstance(filesystem, pafs.LocalFileSystem):
                reachable.append(name)
                continue
            copies.append(host.folder / f"{uuid.uuid4().hex}.in")
            pafs.copy_files(name, str(copies[-1]), source_filesystem=filesystem, destination_filesystem=_LOCAL)
            let_read((copies[-1],), host.account)
            reachable.append(str(copies[-1]))
        yield reachable
    finally:
        for copy in copies:
            copy.unlink(missing_ok=True)


def _moved_out(file: Path, request: ProcessRequest, rows: int, account: Account | None) -> File:
    """Move what the host wrote to the step's output, where it can put nothing else in its place."""
    target = f"{request.output.rstrip('/')}/{file.name}"
    filesystem, name = filesystem_of(target)
    if isinstance(filesystem, pafs.LocalFileSystem):
        file.rename(name)
        found = os.lstat(name)
        if not stat.S_ISREG(found.st_mode):
            os.unlink(name)
            raise StepCodeError(f"node '{request.node}': its function left no file of its own as output")
        take_back(name, account)
        return target, rows, found.st_size
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb"))
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise StepCodeError(f"node '{request.node}': its function left no file of its own as output")
        shutil.copyfileobj(source, stack.enter_context(filesystem.open_output_stream(name)), 2**20)
    size = file.stat().st_size
    file.unlink()
    return target, rows, int(filesystem.get_file_info(name).size or size)
