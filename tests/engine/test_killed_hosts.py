"""`kill -9` of a run, and of the engine under it, while fenced code works: nothing of it is left, and runs go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from engine_processes import in_use, is_over, namespaces
from lab import Lab, files, python, ray, sink, wait_for

from drls_dagster.engine import client
from drls_dagster.engine.places import temporary_folder
from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.state import EngineState
from drls_dagster.fences import enter
from drls_dagster.fences.fences import can_own_pids
from tests.ending import unless_gone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock"),
]
# A child of each, which its parent does not wait for.
LEAVES = "import os, subprocess, time\nsubprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
IN_TRANSFORM = (
    f"{LEAVES}def transform(spark, raw):\n    open(os.environ['TMPDIR'] + '/mine', 'w').close()\n    return raw"
)
FOREVER = f"{LEAVES}def process(batch):\n    open(os.environ['TMPDIR'] + '/mine', 'w').close()\n    time.sleep(1000)"
AT_ONCE = "def process(batch): return batch"


def pipeline(lab: Lab, code: str) -> str:
    lab.file("a.csv", "id\n1\n2\n")
    return lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        python("step", IN_TRANSFORM),
        ray("worked", code, id="long"),
        sink("out", lab.named("out"), "overwrite"),
        flow="raw>step>worked>out",
    )


@dataclass
class Working:
    """A run whose code is at work: its process, and all processes of the code with their namespaces."""

    run: subprocess.Popen[bytes]
    processes: list[psutil.Process]
    namespaces: set[str]


@contextmanager
def working(lab: Lab) -> Iterator[Working]:
    """It is in the middle of its Ray step, and the process of its spark step is there as well."""
    path = lab.landing / "forever.json"
    path.write_text(pipeline(lab, FOREVER))
    command = [sys.executable, str(Path(__file__).with_name("lab.py")), str(lab.settings.home), str(path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        try:
            wait_for("the function of the Ray step", lambda: run.poll() is not None or sleeping_in_ray())
            assert run.poll() is None
            below = psutil.Process(run.pid).children(recursive=True)
            assert any("code_host.py" in " ".join(unless_gone(one.cmdline, [])) for one in below)
            found = [*below, *sleeping_in_ray()]
            yield Working(run, found, {name for one in found for name in namespaces(one.pid)})
        finally:
            run.kill()


def sleeping_in_ray() -> list[psutil.Process]:
    """Hosts of steps, which are children of the processes that they are forked from, and what they started."""
    found: list[psutil.Process] = []
    for one in psutil.process_iter():
        try:
            parent = one.parent()
            if parent is not None and all("step_zygote" in " ".join(each.cmdline()) for each in (one, parent)):
                below = one.children()
                found += [one, *below] if below else []
        except psutil.NoSuchProcess:
            continue
    return found


def private_folders(lab: Lab, run: int) -> list[Path]:
    """What the code of the run had for itself."""
    home = Path(lab.settings.home)
    own = "" if can_own_pids() else "/*"  # a guard inside the fence empties the folder, and the next run removes it
    return [*(home / "private").glob(f"{run}-*{own}"), *temporary_folder(lab.settings).glob("drls-step-*")]


def engine_of(lab: Lab) -> EngineState:
    state = client.ensure_engine(lab.settings)
    client.wait_for_runner(lab.settings, state)
    return state


def works(lab: Lab) -> None:
    ran = lab.run(pipeline(lab, AT_ONCE))
    assert ran.success, ran.failures
    assert lab.rows("out") == [(1,), (2,)]


def test_a_killed_run_leaves_nothing_of_its_code(lab: Lab) -> None:
    state = engine_of(lab)
    with working(lab) as at:
        own = at.namespaces - namespaces(state.pid)
        assert private_folders(lab, at.run.pid)
        at.run.kill()
        at.run.wait()
        wait_for("the end of its code", lambda: all(map(is_over, at.processes)))
    wait_for("the end of its folders", lambda: not private_folders(lab, at.run.pid))
    assert in_use(own) == set()
    assert client.ensure_engine(lab.settings).engine_id == state.engine_id
    works(lab)


def test_a_killed_engine_leaves_nothing_of_the_code_in_it(lab: Lab) -> None:
    """Its processes end with it, or at the next start, which removes the folders too."""
    state = engine_of(lab)
    with working(lab) as at:
        before = list(psutil.process_iter())
        os.kill(state.pid, signal.SIGKILL)
        wait_for("the end of the run", lambda: at.run.poll() is not None)
        works(lab)
        assert all(map(is_over, at.processes))
        # Ray's agents, which are in the engine's, notice the end of their node by and by.
        wait_for("the end of its namespaces", lambda: not in_use(at.namespaces, by=before))
    # That of the run that worked goes with its host, a moment later.
    wait_for("the end of its folders", lambda: not private_folders(lab, at.run.pid))
    assert processes_of(state.engine_id) == []
