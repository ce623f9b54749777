"""How the rest of DRLS gets at the engine: the first user starts it, everybody else joins."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from filelock import FileLock, Timeout

from drls_dagster.engine import state as st
from drls_dagster.engine.handover import certificates, credential_files, engine_environment, hand_over
from drls_dagster.engine.inside import open_inside
from drls_dagster.engine.jars import coordinates, ensure_jars, given_jars
from drls_dagster.engine.java import find_java
from drls_dagster.engine.places import make_places, ray_folder, remove_places
from drls_dagster.engine.processes import MARK, end_all, processes_of
from drls_dagster.errors import DrlsError
from drls_dagster.fences.engine_fence import engine_fence
from drls_dagster.fences.fences import confined
from drls_dagster.lakehouse.catalog_file import earlier_file, take_over
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment

Report = Callable[[str], None]
DRIVER = ("-m", "drls_dagster.engine.driver")
TRY_AGAIN = 75  # how the driver ends when a second start may do better
# An engine outlives the Popen that started it, which would warn of that when collected.
_STARTED: list[subprocess.Popen[bytes]] = []


class EngineError(DrlsError):
    """The engine could not be started or was lost."""


class _MayStart(EngineError):
    """The engine did not start, for a reason that may be over by the next try, such as a busy machine."""


@dataclass(frozen=True)
class EngineStatus:
    """What `drls engine status` shows."""

    state: Literal["running", "starting", "stopping", "stopped", "dead"]
    detail: str
    pid: int | None = None
    since: float | None = None  # seconds since the epoch
    users: int = 0


def status(settings: Settings) -> EngineStatus:
    """The engine's actual state, according to its process and not its file."""
    state = st.read_state(settings)
    if state is None:
        return EngineStatus("stopped", "starts with the first step that needs it")
    if not state.is_alive:
        return EngineStatus("dead", f"process {state.pid} ended; the next run starts a new engine")
    return EngineStatus(state.phase, state.detail, state.pid, state.since, st.live_leases(settings))


def running_engine(settings: Settings) -> st.EngineState:
    """The engine that runs with these settings. Raises EngineError where none does."""
    state = st.read_state(settings)
    if state and state.phase == "running" and state.is_alive and state.settings == fingerprint(settings):
        return state
    raise EngineError("Spark is not running here; start it with drls engine start, or ask DuckDB")


def ensure_engine(settings: Settings, report: Report = lambda _: None) -> st.EngineState:
    """A running engine, started if need be; however many ask at once, one is started.

    Raises EngineError with the log's place when it does not come up in `engine.start_seconds`.
    """
    with contextlib.suppress(EngineError):
        return running_engine(settings)
    deadline = time.monotonic() + settings.engine.start_seconds
    try:
        with FileLock(st.folder(settings) / "start.lock", timeout=settings.engine.start_seconds):
            state = st.read_state(settings)
            if state and state.is_alive:
                if state.phase == "running" and state.settings == fingerprint(settings):
                    return state
                if state.phase == "running" and st.retire(settings, state):
                    raise EngineError(
                        "the engine is running with different settings and is in use; wait for its runs to "
                        "end, or run `drls engine stop --force`"
                    )
            if state:
                end_all(state.engine_id)
            try:
                return _start(settings, report, deadline)
            except _MayStart as failed:
                report(f"{failed}; restarting it")
                return _start(settings, report, deadline, again=True)
    except Timeout:
        raise EngineError(
            f"another process has been starting the engine for {settings.engine.start_seconds:g} s; "
            f"see {st.folder(settings) / 'driver.log'}"
        ) from None


def _start(settings: Settings, report: Report, deadline: float, *, again: bool = False) -> st.EngineState:
    folder = st.folder(settings)
    for name in ("state.json", "runner.json"):
        (folder / name).unlink(missing_ok=True)
    make_places(settings)
    _fetch_jars(settings, report)
    engine_id = uuid.uuid4().hex
    command, environment = _command(settings), engine_environment(settings, **{MARK: engine_id})
    log_path = folder / "driver.log"
    with open_inside(folder, log_path.name, "a" if again else "w") as log:
        # The driver says it some seconds later. If this process is killed until then, the next start knows what to end.
        st.write_state(settings, st.starting(engine_id, fingerprint(settings)))
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
        )
    said = "starting"
    while time.monotonic() < deadline:
        state = st.read_state(settings)
        if state and state.engine_id == engine_id:
            if state.phase == "running":
                _STARTED.append(process)
                return state
            if state.detail != said:
                said = state.detail
                report(said)
        try:
            code = process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
        _end_started(settings, engine_id)
        failed = _MayStart if code == TRY_AGAIN and not again else EngineError
        raise failed(f"the engine ended with {code} while {said}: {_last_error(log_path)}")
    _end_started(settings, engine_id)
    raise EngineError(
        f"the engine did not start in {settings.engine.start_seconds:g} s (last: {said}); see {log_path}, "
        "or allow more with engine.start_seconds"
    )


def _end_started(settings: Settings, engine_id: str) -> None:
    """End what began to start. The driver's state then says that it is dead; ours would say that it starts."""
    end_all(engine_id)
    state = st.read_state(settings)
    if state and state.engine_id == engine_id and state.pid == os.getpid():
        (st.folder(settings) / "state.json").unlink(missing_ok=True)


def _fetch_jars(settings: Settings, report: Report) -> None:
    try:
        ensure_jars(settings, report)
    except (DrlsError, OSError, subprocess.SubprocessError) as error:
        raise EngineError(f"the engine cannot start: {error}") from None


def _command(settings: Settings) -> list[str]:
    """What starts the driver, inside the engine's fence. Raises FenceRequired, or EngineError while it has no fence."""
    hand_over(settings)
    if not take_over(settings.home):
        raise EngineError(
            f"{earlier_file(settings.home)} has to move to {settings.home / 'catalog'} once, and a process of an "
            "earlier DRLS still uses it; end `drls up` and other commands of DRLS, then run again"
        )
    # This DRLS, wherever it is imported from, and its Java, also by the name that it is started with.
    java = find_java().path
    own = (str(Path(__file__).resolve().parents[2]), str(java.resolve()), str(java.absolute()))
    drivers = (*given_jars(settings), *certificates(settings))
    fence = engine_fence(
        settings, read=(*own, *drivers, *credential_files(settings)), write=(str(ray_folder(settings).parent),)
    )
    command = [sys.executable, *DRIVER, "--home", str(settings.home), "--fingerprint", fingerprint(settings)]
    return confined(fence, command)


def stop(settings: Settings, *, force: bool = False, patience: float = 20.0) -> bool:
    """Stop the engine; False when none runs. In use it is stopped only with `force`."""
    with FileLock(st.folder(settings) / "start.lock"):
        state = st.read_state(settings)
        if state is None:
            remove_places(settings)  # what an engine that ended itself could not remove
            return False
        alive = state.is_alive
        if alive and (users := st.retire(settings, state, force=force)) and not force:
            raise EngineError(f"the engine is in use by {users} run(s); wait, or run `drls engine stop --force`")
        if alive:
            # What runs in the engine can write its state: only a process that has its mark is ended.
            driver = [process for process in processes_of(state.engine_id) if process.pid == state.pid]
            for process in driver:
                process.terminate()
            # What is left after that is ended below.
            psutil.wait_procs(driver, timeout=patience)
        end_all(state.engine_id)
        # One that this process started is a child, whose end somebody must ask for.
        _STARTED[:] = [process for process in _STARTED if process.poll() is None]
        for name in ("state.json", "runner.json"):
            (st.folder(settings) / name).unlink(missing_ok=True)
        remove_places(settings)
        return alive


def wait_for_runner(settings: Settings, state: st.EngineState) -> st.RunnerState:
    """The warm Ray runner of that engine; it may still be starting, or starting again.

    Raises EngineError when it is not up within `engine.start_seconds`.
    """
    deadline = time.monotonic() + settings.engine.start_seconds
    while time.monotonic() < deadline:
        runner = st.read_runner(settings, state.engine_id)
        if runner is not None:
            return runner
        if not state.is_alive:
            raise EngineError("the engine ended; run again to start a new one")
        time.sleep(0.1)
    raise EngineError(f"the Ray runner did not start; see {st.folder(settings) / 'runner.log'}")


def fingerprint(settings: Settings) -> str:
    """Changes when a setting that the engine was started with changes."""
    sections = (settings.engine, settings.catalog, settings.fence)
    text = "".join(one.model_dump_json() for one in sections) + str(settings.home)
    roots = [settings.roots_for(environment) for environment in Environment]  # its fence opens them
    drivers = (*coordinates(settings), *given_jars(settings), *certificates(settings))
    return hashlib.sha256(f"{text}{roots}{drivers}".encode()).hexdigest()[:16]


def _last_error(log_path: Path) -> str:
    with open_inside(log_path.parent, log_path.name, "r") as log:
        lines = [line.strip() for line in log if line.strip()]
    return f"{lines[-1] if lines else 'no output'} (all of it: {os.fspath(log_path)})"
