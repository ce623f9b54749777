"""`kill -9` of a part of the engine while runs publish to production: no row is lost or twice, and nothing is left.

Three runs are at work at each kill: one in the middle of its write, one whose rows are written and not checked yet, and
one that has moved the table's ref and has no receipt yet.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from engine_processes import executor_of, in_use, is_over, namespaces, of_engine
from lab import monitor, python, sink, wait_for
from lifecycle_lab import PRODUCTION, SETUP, UAT, LifecycleLab

from drls_dagster.cli.main import run
from drls_dagster.engine import client
from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.state import EngineState
from drls_dagster.settings import Settings
from lifecycle.usecases.reconcile import reconcile

pytestmark = [pytest.mark.kills, pytest.mark.timeout(900)]
WRITING, WRITTEN, MOVED = "writing", "written", "behind"  # the last two are stages of lifecycle_job
STAGES = (WRITING, WRITTEN, MOVED)
ROWS = [(1,), (2,)]
# Bounds, not what is measured: Ray notices the end of its node's parts after up to a minute.
ENDS_SECONDS = 400
# The second row of a write takes so long.
SLOW = """
def transform(spark, raw):
    slow = "reflect('java.lang.Thread', 'sleep', CAST(if(id > 1, 10000, 0) AS BIGINT))"
    return raw.selectExpr("id", f"CAST({slow} AS STRING) AS slow")
"""
PARTS: dict[str, Callable[[EngineState], psutil.Process]] = {
    "the executor": executor_of,
    "RayDP's master": lambda state: of_engine(state, "java", "py4j.GatewayServer")[0],
    "the raylet": lambda state: of_engine(state, "/raylet/raylet ")[0],
    "the GCS": lambda state: of_engine(state, "/gcs/gcs_server ")[0],
}


class Publishing:
    """A pipeline for each stage, in production."""

    def __init__(self, life: LifecycleLab) -> None:
        self.life = life
        life.file("a.csv", "id\n1\n2\n")
        for stage in STAGES:
            steps = [python("slow", SLOW)] if stage == WRITING else []
            flow = "raw>slow>out>quality" if steps else "raw>out>quality"
            one = life.save(
                life.csv(),
                *steps,
                sink("out", life.named(stage), repeat=True),
                monitor("quality", {"kind": "not_null", "columns": ["id"]}),
                flow=flow,
                name=self.pipeline(stage),
                **({"run": {"retries": {"attempts": 2, "delay": "5s"}}} if steps else {}),
            )
            for target in (UAT, PRODUCTION):
                life.leo.promotions.break_glass(self.pipeline(stage), one, target, reason="a test begins here")

    def pipeline(self, stage: str) -> str:
        return self.life.name if stage == MOVED else f"{self.life.name}_{stage}"

    def start(self, stage: str, folder: Path) -> Run:
        folder.mkdir()
        with (folder / "log").open("wb") as log:
            held = stage if stage != WRITING else "never"
            process = self.life.held_at(PRODUCTION, held, folder, self.pipeline(stage), log)
        return Run(stage, folder, process)

    def is_there(self, one: Run) -> bool:
        assert one.process.poll() is None, (one.folder / "log").read_text()[-3000:]
        if one.stage != WRITING:
            return (one.folder / "there").exists()
        table = ".".join(self.life.identifier(WRITING))
        return any(left.branch in self.life.branches(WRITING) for left in self.life.ledger.branches(table))

    def rows(self, stage: str) -> list[tuple[int]]:
        """None before the first run, which makes the table."""
        life = self.life
        if not life.catalog.table_exists(life.identifier(stage)) or life.head(stage) is None:
            return []
        return [(row[0],) for row in life.on(stage, "main", "id")]


@dataclass
class Run:
    stage: str
    folder: Path
    process: subprocess.Popen[bytes]


@dataclass
class Engine:
    """What an engine has while it lives."""

    state: EngineState
    processes: list[psutil.Process]
    namespaces: set[str]
    files: set[Path]
    at: float

    @classmethod
    def of(cls, state: EngineState, settings: Settings) -> Engine:
        found = processes_of(state.engine_id)
        spaces: set[str] = set()
        for one in found:
            with suppress(FileNotFoundError, ProcessLookupError):
                spaces |= namespaces(one.pid)
        ray = Path(os.path.realpath(settings.home / "engine" / "ray"))
        own = {ray, *ray.rglob("*"), *(settings.home / "engine" / "scratch").rglob("*")}
        assert len(own) > 10
        return cls(state, found, spaces, own | in_memory(found), time.time())

    def left(self, settings: Settings) -> dict[str, object]:
        """What is still there of it; the next engine may use the same names."""
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        found = {
            "processes": [one for one in self.processes if not is_over(one)] + processes_of(self.state.engine_id),
            "namespaces": in_use(self.namespaces, by=self.processes),
            "mounts": [line for line in mounts if str(settings.home) in line],
            "files": sorted(path for path in self.files if self._is_there(path)),
        }
        return {name: what for name, what in found.items() if what}

    def _is_there(self, path: Path) -> bool:
        try:
            return path.lstat().st_ctime <= self.at
        except FileNotFoundError:
            return False


def in_memory(processes: list[psutil.Process]) -> set[Path]:
    """Files of shared memory that they have open or mapped."""
    found: set[str] = set()
    for one in processes:
        try:
            found |= {os.readlink(link) for link in Path(f"/proc/{one.pid}/fd").iterdir()}
            found |= {mapped.path for mapped in one.memory_maps()}
        except (OSError, psutil.Error):
            continue
    return {Path(name) for name in found if name.startswith("/dev/shm/")}  # noqa: S108


@pytest.fixture(scope="module")
def publishing(engine: Settings) -> Iterator[Publishing]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRLS_HOME", str(engine.home))
        patch.setenv("DAGSTER_HOME", str(engine.home / "dagster"))
        with LifecycleLab(engine, "killed_parts") as life:
            yield Publishing(life)


@pytest.mark.parametrize("part", PARTS)
def test_l11_a_killed_part_of_the_engine_loses_no_row_and_no_receipt_and_leaves_nothing(
    publishing: Publishing, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = publishing.life
    settings = life.settings
    monkeypatch.setenv("DRLS_HOME", str(settings.home))
    monkeypatch.setenv("DAGSTER_HOME", str(settings.home / "dagster"))
    state = client.ensure_engine(settings)
    before = {stage: publishing.rows(stage) for stage in STAGES}
    runs: list[Run] = []
    with ExitStack() as at_the_end:
        for stage in (WRITTEN, MOVED, WRITING):  # the last does not wait for the others
            if stage == WRITING:
                wait_for("the runs", lambda: all(map(publishing.is_there, runs)), 300)
            runs.append(publishing.start(stage, tmp_path / stage))
            at_the_end.callback(runs[-1].process.wait)
            at_the_end.callback(runs[-1].process.kill)
        wait_for("the write", lambda: all(map(publishing.is_there, runs)), 300)
        there = Engine.of(state, settings)
        PARTS[part](state).kill()
        for one in runs:
            (one.folder / "go").touch()
        wait_for("the end of the runs", lambda: all(one.process.poll() is not None for one in runs), ENDS_SECONDS)

    for one in runs:
        worked = one.process.returncode == 0
        said = (one.folder / "log").read_text()[-3000:]
        assert publishing.rows(one.stage) == sorted(before[one.stage] + (ROWS if worked else [])), said
    found = reconcile(life.later(), SETUP)
    mine = {life.named(stage) for stage in STAGES}
    assert [one for one in found.drifts if one.table_name in mine] == []
    for stage in STAGES:
        assert life.unanswered(stage, PRODUCTION) == []
    with life.ctx.store.read() as view:
        assert [one for one in view.runs.live_permits() if one.table_name in mine] == []

    if part == list(PARTS)[-1]:
        assert run(["engine", "stop", "--force"]) == 0
        wait_for("what it left", lambda: not there.left(settings))
    life.works(PRODUCTION)
    now = client.ensure_engine(settings)
    assert part == "the executor" or now.engine_id != state.engine_id, "RayDP replaces executors only"
    if now.engine_id != state.engine_id:
        assert there.left(settings) == {}
    pids = [one.process.pid for one in runs]
    assert [one for pid in pids for one in (settings.home / "private").glob(f"{pid}-*")] == []
    assert publishing.rows(MOVED)[-1:] == [(2,)]
