"""What benchmarks share: a DRLS_HOME and an engine of their own, helper processes, and their end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from drls_dagster.engine import client
from drls_dagster.engine.jars import ensure_jars
from drls_dagster.engine.state import EngineState
from drls_dagster.home import home_folder
from drls_dagster.launch.progress import RunOutcome
from drls_dagster.settings import Settings, load_settings

CHECKOUT = Path(__file__).resolve().parents[1]


class Lab:
    """A temporary DRLS_HOME whose engine and processes end with the bench, however it ends."""

    def __init__(self, *, quick: bool, log: Callable[[str], None]) -> None:
        self.quick = quick
        self.log = log
        self._stack = contextlib.ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="drls-bench-")))
        self.data = self.folder / "data"  # what the engine's processes may change
        self.data.mkdir()
        self.settings = self._home()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _home(self) -> Settings:
        """Nothing of the user's own configuration; but the user's jars, so that no download is measured."""
        given = load_settings(home_folder())
        home = self.folder / "home"
        home.mkdir(mode=0o700)
        (home / "jars").mkdir()
        for jar in (given.home / "jars").glob("*.jar"):
            shutil.copyfile(jar, home / "jars" / jar.name)
        for name in [name for name in os.environ if name.startswith("DRLS_")]:
            del os.environ[name]
        # The last two: clients of the engine's Ray must look for it on loopback, and show its token.
        os.environ.update(
            DRLS_HOME=str(home),
            DRLS_FENCE__WRITE=json.dumps([str(self.data)]),
            PYSPARK_PYTHON=sys.executable,
            RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",
            RAY_AUTH_MODE="token",
        )
        settings = load_settings(home)
        self._stack.callback(client.stop, settings, force=True)
        return settings

    def _fetch_jars(self) -> None:
        """Before anything is measured; what needs no engine needs no jars either."""
        ensure_jars(self.settings, self.log)

    def engine(self) -> EngineState:
        """The lab's engine, started if need be, its Ray runner up."""
        self._fetch_jars()
        state = client.ensure_engine(self.settings)
        client.wait_for_runner(self.settings, state)
        return state

    def stop_engine(self) -> None:
        self._fetch_jars()
        client.stop(self.settings, force=True)

    @contextlib.contextmanager
    def sized(self, **engine: str) -> Iterator[None]:
        """Engines of these settings for as long as it lasts, workers know them too; what runs is ended at both ends."""
        self.stop_engine()
        variables = {f"DRLS_ENGINE__{name.upper()}": value for name, value in engine.items()}
        os.environ.update(variables)
        self._read_settings()
        try:
            yield
        finally:
            self.stop_engine()
            for name in variables:
                del os.environ[name]
            self._read_settings()

    @contextlib.contextmanager
    def connected(self, text: str) -> Iterator[None]:
        """Engines and runs with these connections, as drls.toml has them; what runs is ended at both ends."""
        self.stop_engine()
        file = self.settings.home / "drls.toml"
        file.write_text(text)
        file.chmod(0o600)
        self._read_settings()
        try:
            yield
        finally:
            self.stop_engine()
            file.unlink()
            self._read_settings()

    @contextlib.contextmanager
    def fenced(self, mode: Literal["auto", "off"]) -> Iterator[None]:
        """Engines and runs with this `fence.mode`, workers know it too; what runs is ended at both ends."""
        self.stop_engine()
        os.environ["DRLS_FENCE__MODE"] = mode
        self._read_settings()
        try:
            yield
        finally:
            self.stop_engine()
            del os.environ["DRLS_FENCE__MODE"]
            self._read_settings()

    def _read_settings(self) -> None:
        """Again: a process reads them once, and the runs in this one would have those from before."""
        load_settings.__globals__["_load"].cache_clear()
        self.settings = load_settings(self.settings.home)

    def worker(self, module: str, *arguments: object) -> Worker:
        """A helper process, ended with the lab at the latest."""
        worker = Worker(module, arguments, self.folder / f"{module}.log")
        self._stack.callback(worker.close)
        return worker

    def times(self, whole: int, quick: int) -> int:
        """How often to repeat."""
        return quick if self.quick else whole


class Worker:
    """A process that stays alive between measurements: one JSON line asks, one JSON line answers."""

    def __init__(self, module: str, arguments: Sequence[object], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                cwd=CHECKOUT,
                text=True,
            )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Raises RuntimeError with the log's last errors when the process fails."""
        assert self.process.stdin
        assert self.process.stdout
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            log = self.log.read_text(errors="replace").splitlines()
            told = [text for text in log if re.match(r"\S*(Error|Exception)\b", text.lstrip(": "))] or log
            raise RuntimeError(f"{self.log.stem} ended with {self.process.wait()}:\n" + "\n".join(told[-3:]))
        return json.loads(line)

    def close(self) -> None:
        """Its end of input asks it to end; what does not, is killed."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The worker's side: whatever libraries print goes to the log, only answers to standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print("ready", file=sys.stderr, flush=True)
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(times: int, *sides: Callable[[], float]) -> list[tuple[float, ...]]:
    """Each side's values; the sides take turns, so that what disturbs the machine disturbs all of them."""
    rounds = [[side() for side in sides] for _ in range(times)]
    return [tuple(values) for values in zip(*rounds, strict=True)]


def command_seconds(*command: str) -> float:
    """Wall time of a whole process. Raises RuntimeError with its last words when it fails."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return took


def run_seconds(outcome: RunOutcome) -> float:
    """How long a run took. Raises RuntimeError when it failed, KeyboardInterrupt when it was interrupted."""
    if "DagsterExecutionInterruptedError" in outcome.failure:
        raise KeyboardInterrupt  # Dagster has signal handlers of its own while it runs
    if not outcome.success:
        raise RuntimeError(f"the run failed: {outcome.failure}")
    return outcome.seconds


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
