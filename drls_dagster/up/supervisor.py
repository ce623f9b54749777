"""Starts the processes of `drls up`, watches over them, and ends them together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType

import psutil

from drls_dagster.engine.client import EngineError
from drls_dagster.engine.client import stop as stop_engine
from drls_dagster.engine.processes import MARK as ENGINE_MARK
from drls_dagster.engine.processes import end_all
from drls_dagster.engine.state import read_state
from drls_dagster.orchestrator.running_up import UpState, forget_up, write_up
from drls_dagster.runs.address import PATH
from drls_dagster.settings import Settings
from drls_dagster.up.children import Child
from drls_dagster.up.layout import MARK, Layout
from drls_dagster.up.readiness import READY, ask_listening, ask_ready

LOOK_SECONDS = 0.5
ASK_SECONDS = 1.0
ASK_SECONDS_WHEN_READY = 10.0
PATIENCE = 10.0
Say = Callable[[str], object]


class Terminated(BaseException):
    """SIGTERM or SIGHUP came."""


class Supervisor:
    """One `drls up`. `say` gets one line for each thing that people should know."""

    def __init__(self, settings: Settings, layout: Layout, state: UpState, say: Say) -> None:
        self._settings = settings
        self._layout = layout
        self._state = state
        self._say = say
        self._children: list[Child] = []
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._told: dict[str, str] = {}

    def run(self) -> None:
        """Returns when somebody stops it (Ctrl-C, SIGTERM); nothing that it started is left then."""
        _listen_to_signals()
        try:
            self._start_watchdog()
            self._layout.prepare()
            write_up(self._settings, self._state)
            self._children = self._layout.children()
            for child in self._children:
                child.start()
            self._watch()
        except (KeyboardInterrupt, Terminated):
            self._say("stopping")
        finally:
            self._stop()

    def _watch(self) -> None:
        began = time.monotonic()
        ask_at, is_ready = 0.0, False
        while True:
            for child in self._children:
                told = child.watch()
                if told is not None:
                    self._told.pop(child.name, None)
                    self._say(told)
            if self._watchdog is not None and self._watchdog.poll() is not None:
                self._start_watchdog()
            if time.monotonic() >= ask_at:
                self._tell(
                    {
                        **ask_listening(self._layout.listening, PATH, self._layout.settings.home),
                        **ask_ready(self._state),
                    }
                )
                if not is_ready and all(self._told.get(child.name) for child in self._children):
                    is_ready = True
                    self._say(f"up in {time.monotonic() - began:.0f} s: {self._state.url}")
                ask_at = time.monotonic() + (ASK_SECONDS_WHEN_READY if is_ready else ASK_SECONDS)
            time.sleep(LOOK_SECONDS)

    def _tell(self, found: Mapping[str, str]) -> None:
        for name, told in found.items():
            if self._told.get(name) != told:
                self._told[name] = told
                self._say(f"{name} is ready" if told == READY else f"{name} does not load: {told}")

    def _start_watchdog(self) -> None:
        options = [*("--mark", MARK), *("--up-id", self._state.up_id)]
        for place in self._layout.listening.values():
            options += ["--socket", str(place)]
        if self._layout.sockets != self._layout.folder:
            options += ["--remove", str(self._layout.sockets)]
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
        self._watchdog = subprocess.Popen(
            [sys.executable, "-m", "drls_dagster.up.watchdog", *options],
            stdin=subprocess.PIPE,
            cwd=self._layout.folder,
            start_new_session=True,
        )

    def _stop(self) -> None:
        # From here on a second Ctrl-C changes nothing: the end is bounded anyway.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        forget_up(self._settings, self._state.up_id)
        self._stop_engine()
        end_all(self._state.up_id, PATIENCE, MARK, ENGINE_MARK)
        for child in self._children:
            if child.process is not None:
                child.process.wait(PATIENCE)
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
            self._watchdog.wait(PATIENCE)
        self._layout.remove()

    def _stop_engine(self) -> None:
        """Stops the engine if a run of ours started it and no other uses it; else it is not ours to stop."""
        engine = read_state(self._settings)
        if engine is None or not engine.is_alive:
            return
        with contextlib.suppress(psutil.Error):
            if psutil.Process(engine.pid).environ().get(MARK) != self._state.up_id:
                return
            try:
                stop_engine(self._settings)
            except EngineError as error:
                self._say(str(error))


def _listen_to_signals() -> None:
    # A shell that starts something with & makes it ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Terminated(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def own_state(up_id: str, token: str, url: str) -> UpState:
    """The state of a `drls up` that is this process."""
    return UpState(up_id, os.getpid(), psutil.Process().create_time(), url, token)
