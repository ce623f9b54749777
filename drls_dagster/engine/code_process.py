"""The process that runs a pipeline's own Python, as the run's worker sees it.

It is fenced (`drls_dagster.fences`), lives as long as the run, and shares the run's Spark session. What it says is
read as JSON and protobuf, never unpickled. See `drls_dagster.engine.code_host` for its side.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drls_dagster.engine import code_host
from drls_dagster.engine.code_output import CodeOutput
from drls_dagster.engine.code_wire import Ended, Message, receive, send
from drls_dagster.engine.isolated import CodeRefused
from drls_dagster.engine.session import EngineSession, connect_url
from drls_dagster.engine.state import read_state
from drls_dagster.engine.step_code import CodeChanged, SentCode, refuse_outside
from drls_dagster.errors import DrlsError
from drls_dagster.fences.environment import code_environment
from drls_dagster.fences.fence import Fence
from drls_dagster.fences.fences import check_account, code_fence, confined
from drls_dagster.fences.private_folder import clear_private_folders, make_private_folder
from drls_dagster.fences.reach import readable_copy
from drls_dagster.fences.words import explained, refused
from drls_dagster.settings import Settings
from lifecycle import spec

if TYPE_CHECKING:
    from pyspark.sql.connect.dataframe import DataFrame

END_SECONDS = 3.0  # a little longer than the guard gives the code
_PACKAGES = {"drls_dagster": str(Path(code_host.__file__).parents[1]), "lifecycle": str(Path(spec.__file__).parents[1])}
_blocks = itertools.count(1)
_LONGEST = 500  # characters of a remedy
_MISSING = re.compile(r"ModuleNotFoundError: No module named '(?P<top>\w+)")


class CodeFailed(DrlsError):
    """The pipeline's own Python is at fault."""


@dataclass(frozen=True)
class Call:
    """A call of a step's `transform`: inline source or an entry point with its locked digest, and the frames by name.

    `code` is the version's local code.
    """

    node: str
    python: str | None
    entrypoint: str | None
    digest: str | None
    code: SentCode | None
    inputs: Mapping[str, DataFrame]


class CodeProcess:
    """Starts with its first call, or earlier, and ends with `end()`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._line = threading.Lock()
        self._child: _Child | None = None
        self._ended = False

    def start(self, code: SentCode | None, port: int | None) -> None:
        """Start it ahead of its first call, which says what went wrong. `port` is Spark's, where it is known."""
        with self._line, contextlib.suppress(DrlsError, OSError):
            if not self._ended:
                self._started(None if code is None else code.placed(), port)

    def transform(self, session: EngineSession, call: Call) -> DataFrame:
        """The frame that the step's function returns. Raises CodeFailed, CodeChanged, DrlsError, PySparkException."""
        from drls_dagster.engine.sent_frames import received, sent

        spark = session.spark
        url = connect_url(session.engine) if session.engine else self._settings.engine.spark_connect or ""
        placed = None if call.code is None else call.code.placed()
        plans = {name: sent(frame) for name, frame in call.inputs.items()}
        request = {
            "node": call.node,
            "python": call.python,
            "entrypoint": call.entrypoint,
            "digest": call.digest,
            "session": {"id": session.session_id, "url": url, "user": spark.client._user_id},
            "inputs": [(name, view) for name, (view, _) in plans.items()],
        }
        with self._line:
            child = self._started(placed, session.engine.connect_port if session.engine else known_port(self._settings))
            code = None if placed is None else placed.model_copy(update={"folder": child.code}).model_dump()
            try:
                answer, blobs = child.ask({**request, "code": code}, [plan for _, plan in plans.values()])
            except Ended:
                self._end()
                raise CodeFailed(f"transform() of node '{call.node}': {child.how_it_ended()}") from None
            except BaseException:  # the run is interrupted
                self._end(at_once=True)
                raise
        if answer.get("kind") != "frame":
            raise _error(answer, call.code, fenced=child.fence is not None)
        view = answer.get("view")
        try:
            frame = received(spark, None if view is None else str(view), blobs[0])
        except (ValueError, IndexError) as error:
            raise CodeFailed(f"the answer of node '{call.node}' is not a frame: {error}") from None
        return frame

    def end(self) -> None:
        """End the process and all that it has started."""
        with self._line:
            self._ended = True
            self._end()

    @property
    def pid(self) -> int | None:
        """Of its first process; None where none runs."""
        return self._child.process.pid if self._child is not None else None

    def _started(self, code: SentCode | None, port: int | None) -> _Child:
        folder = None if code is None else code.folder
        read = () if folder is None else (folder,)
        ports = () if port is None or self._settings.fence.network == "open" else (port,)
        check_account(self._settings)
        fence = code_fence(self._settings, read=read, ports=ports)
        if self._child is not None and (self._child.fence != fence or self._child.process.poll() is not None):
            self._end()  # another engine, on another port; or it was killed between two calls
        if self._child is None:
            self._child = _Child(self._settings, fence, code)
            weakref.finalize(self, self._child.end)
        return self._child

    def _end(self, *, at_once: bool = False) -> None:
        if self._child is not None:
            self._child.end(at_once=at_once)
            self._child = None


def _error(answer: Mapping[str, Any], code: SentCode | None, *, fenced: bool) -> DrlsError:
    text = str(answer.get("error"))
    if answer.get("kind") == "changed":
        return CodeChanged(text)
    if answer.get("kind") != "failed":
        return DrlsError(text)
    remedy = f"; {str(answer['remedy'])[:_LONGEST]}" if answer.get("remedy") else ""
    if not fenced:
        return CodeFailed(text + remedy)
    missing = _MISSING.search(text)
    if missing is not None and code is not None and code.guarded:
        try:
            refuse_outside(missing["top"])  # to the code, a module that it may not read is not there
        except CodeRefused as error:
            return CodeChanged(str(error))
    path = answer.get("path")
    # What our words make of Spark's no longer tells a path that is hidden from one that is not there.
    said = str(answer.get("spark") or text)
    words = explained(said) if path is None else refused(str(path), writing=bool(answer.get("writing")))
    return CodeFailed(text + remedy if words is None else f"{text}: {words}")


def known_port(settings: Settings) -> int | None:
    """The port at which Spark is reached; None while no engine is known."""
    if settings.engine.spark_connect:
        from pyspark.sql.connect.client import DefaultChannelBuilder

        return int(DefaultChannelBuilder(settings.engine.spark_connect).endpoint.rpartition(":")[2])
    engine = read_state(settings)
    return engine.connect_port if engine is not None else None


class _Child:
    """The guard's process and the line to the one that works."""

    def __init__(self, settings: Settings, fence: Fence | None, code: SentCode | None) -> None:
        self.fence = fence
        self.code = None if code is None else code.folder  # where the process finds the version's files
        self._ready = False
        clear_private_folders(settings)
        account = None if fence is None else fence.account
        self._folder = make_private_folder(settings, account)
        self._made = [self._folder]
        if code is not None and code.is_placed and account is not None:
            self._made.append(make_private_folder(settings))
            self.code = str(readable_copy(code.folder or "", self._made[1], account))
        self._line, theirs = socket.socketpair()
        inner = fence
        if fence is not None:
            read = () if self.code is None else (self.code,)
            inner = fence.widened(read=read, write=(str(self._folder),))
            inner = replace(inner, remove=tuple(map(str, self._made)))
        hello = {"folder": str(self._folder), "path": sys.path, "packages": _PACKAGES, "block": next(_blocks)}
        command = [sys.executable, "-P", code_host.__file__, str(theirs.fileno()), json.dumps(hello)]
        with theirs:
            self.process = subprocess.Popen(
                confined(inner, command),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=code_environment(settings, self._folder),
                start_new_session=True,  # Ctrl-C at a terminal is for the run's worker
            )
        self._output = CodeOutput(self.process)

    def ask(self, request: Mapping[str, Any], blobs: list[bytes]) -> Message:
        """The answer, after what the code printed until then has been passed on. Raises Ended."""
        if not self._ready:
            receive(self._line)
            self._ready = True
        send(self._line, dict(request), blobs)
        answer = receive(self._line)
        self._output.pass_on()
        return answer

    def how_it_ended(self) -> str:
        code = self.process.returncode
        if not self._ready:
            return f"the process for the pipeline's Python did not start (exit code {code}); its output says why"
        number = code - code_host.SIGNALLED if code > code_host.SIGNALLED else -code
        if number == signal.SIGKILL:
            return (
                "the process of the pipeline's Python was killed, most likely because memory ran out; work on "
                "Spark's DataFrames rather than on rows in Python, or use a machine with more memory"
            )
        if number in set(signal.Signals):
            name = signal.Signals(number).name
            return f"the pipeline's Python crashed its process ({name}); look at the native libraries that it uses"
        return (
            f"the pipeline's Python ended its process (exit code {code}); let it return a DataFrame or raise an error"
        )

    def end(self, *, at_once: bool = False) -> None:
        """Have the guard end everything; the guard itself is ended where it does not."""
        self._line.close()
        if at_once and self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._output.close()
        for made in self._made:
            shutil.rmtree(made, ignore_errors=True)
