"""What the engine says about itself: one file, believed only while its process lives."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from drls_dagster.engine.inside import open_inside
from drls_dagster.private_home import private_home
from drls_dagster.processes import process_is
from drls_dagster.settings import Settings
from lifecycle.private_files import write_private

Phase = Literal["starting", "running", "stopping"]


@dataclass(frozen=True)
class EngineState:
    """The content of DRLS_HOME/engine/state.json (mode 0600: it holds the token)."""

    engine_id: str
    pid: int
    created: float  # seconds, the process's start time: a pid that came round again has another
    phase: Phase
    detail: str
    settings: str  # fingerprint of the settings it was started with
    since: float = 0.0  # seconds since the epoch
    connect_port: int = 0
    token: str = ""
    ray_address: str = ""

    def __repr__(self) -> str:
        return f"EngineState({self.phase}, pid={self.pid}, port={self.connect_port})"

    @property
    def is_alive(self) -> bool:
        return process_is(self.pid, self.created)


@dataclass(frozen=True)
class RunnerState:
    """The content of DRLS_HOME/engine/runner.json: where the warm Ray runner listens."""

    engine_id: str
    pid: int
    created: float
    port: int
    token: str

    def __repr__(self) -> str:
        return f"RunnerState(pid={self.pid}, port={self.port})"


def folder(settings: Settings) -> Path:
    return private_home(settings.home, "engine")


def starting(engine_id: str, settings: str) -> EngineState:
    """An engine that this process starts, of settings with that fingerprint."""
    me = psutil.Process()
    return EngineState(
        engine_id=engine_id,
        pid=me.pid,
        created=me.create_time(),
        phase="starting",
        detail="starting",
        settings=settings,
        since=time.time(),
    )


def write_state(settings: Settings, state: EngineState) -> None:
    write_private(folder(settings) / "state.json", json.dumps(asdict(state)))


def read_state(settings: Settings) -> EngineState | None:
    """The state of the last engine, dead or alive; None when there was none."""
    try:
        return EngineState(**_said(settings, "state.json"))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def is_serving(settings: Settings, engine_id: str) -> bool:
    """Whether that engine runs and does not end just now."""
    state = read_state(settings)
    return state is not None and state.engine_id == engine_id and state.phase == "running" and state.is_alive


def read_runner(settings: Settings, engine_id: str) -> RunnerState | None:
    """The runner of that engine, None while it is not up."""
    try:
        runner = RunnerState(**_said(settings, "runner.json"))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return runner if runner.engine_id == engine_id and process_is(runner.pid, runner.created) else None


def _said(settings: Settings, name: str) -> dict[str, Any]:
    """What the engine says of itself, or something else in the engine. Raises ValueError, TypeError."""
    with open_inside(settings.home / "engine", name, "r") as file:
        found = json.load(file)
    for field, kind in {"engine_id": str, "pid": int, "created": (int, float)}.items():
        # Without an id, its processes would be all that have none.
        if not isinstance(found.get(field), kind) or not found[field]:
            raise TypeError(f"{name}: {field}")
    return found


@contextlib.contextmanager
def _guard(settings: Settings) -> Iterator[None]:
    """One caller at a time takes a lease, counts them, or says that the engine ends because there are none."""
    with open_inside(folder(settings), "leases.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def lease(settings: Settings) -> Iterator[None]:
    """Keeps the engine from its idle stop. The kernel gives the lease back however this process ends.

    Take it before you look for an engine: one that ends has said so by then.
    """
    name = uuid.uuid4().hex
    path = folder(settings) / "leases" / name
    with contextlib.ExitStack() as stack:
        with _guard(settings):  # nobody sees the file before it is locked
            path.parent.mkdir(exist_ok=True)
            file = stack.enter_context(open_inside(folder(settings), f"leases/{name}", "w"))
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with open_inside(folder(settings), "last_used", "a") as used:
                os.utime(used.fileno())


def live_leases(settings: Settings) -> int:
    """How many users the engine has; leases of dead users are removed."""
    if not (settings.home / "engine" / "leases").exists():
        return 0
    with _guard(settings):
        return _count(settings)


def retire(settings: Settings, state: EngineState, *, force: bool = False) -> int:
    """Says that this engine ends, when nobody uses it or with `force`; how many use it.

    Whoever takes a lease from now on finds it ending and starts a new one.
    """
    with _guard(settings):
        users = _count(settings)
        if not users or force:
            current = read_state(settings)
            if current is not None and current.engine_id == state.engine_id:
                write_state(settings, replace(current, phase="stopping"))
        return users


def _count(settings: Settings) -> int:
    count = 0
    for path in (settings.home / "engine" / "leases").glob("*"):
        try:
            with open_inside(settings.home / "engine", f"leases/{path.name}", "r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except BlockingIOError:
            count += 1
        except FileNotFoundError:
            continue
    return count
