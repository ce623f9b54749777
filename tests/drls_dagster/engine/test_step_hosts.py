"""The function of a Ray step runs in a fenced process of its step alone, and nothing of that process is left behind.

Here without Ray: the worker is this process.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drls_dagster.engine import abandoned, ray_work, step_hosts
from drls_dagster.engine.ray_work import touch, write_part
from drls_dagster.engine.step_code import SentCode
from drls_dagster.engine.step_hosts import StepHosts
from drls_dagster.engine.step_request import ProcessRequest, StepCodeError, StepCrashed
from drls_dagster.fences import enter
from drls_dagster.processes import process_is
from drls_dagster.settings import FenceSettings
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock")
SCHEMA = pa.schema([("id", pa.int64())])
FENCED = FenceSettings(mode="required")


@pytest.fixture(scope="module")
def worker() -> Iterator[StepHosts]:
    touch(FENCED)
    yield ray_work.HOSTS
    ray_work.HOSTS.close()


@pytest.fixture
def hosts(worker: StepHosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StepHosts]:
    monkeypatch.setattr(step_hosts.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("DRLS_SECRET_OF_THE_WORKER", "sesame")
    yield worker
    worker.end()
    assert not list(tmp_path.glob("drls-step-*")), "a host left its private folder"
    assert not list(tmp_path.glob("out/.host-*")), "a host left its output folder"


def step(folder: Path, python: str, **more: object) -> ProcessRequest:
    """A step with two parts of three rows each."""
    parts: list[tuple[str]] = []
    for number in range(2):
        (folder / "in").mkdir(exist_ok=True)
        parts.append((str(folder / "in" / f"{number}.parquet"),))
        ids = pa.array(range(3 * number, 3 * number + 3), pa.int64())
        pq.write_table(pa.table({"id": ids}), parts[-1][0])
    given = {"node": "score", "inputs": tuple(parts), "output": str(folder / "out"), "python": python, "batch_size": 3}
    schema = SCHEMA.serialize().to_pybytes().hex()
    rest = {"cpus": 1, "gpus": 0, "concurrency": 1, "output_schema": schema, "fence": FENCED}
    return ProcessRequest.model_validate({**given, **rest, **more})


def run(request: ProcessRequest, part: int = 0) -> list[int]:
    """The ids that a part's file holds."""
    told = write_part(pa.table({"paths": [list(request.inputs[part])]}), request).to_pylist()
    for one in told:
        assert one["bytes"] == os.stat(one["path"]).st_size
    return [value for one in told for value in pq.read_table(one["path"])["id"].to_pylist()]


def refused(request: ProcessRequest) -> str:
    with pytest.raises(StepCodeError) as error:
        run(request)
    return error.value.message


WHO = "import os, pyarrow as pa\ndef process(batch): return pa.table({'id': [os.getpid()]})"


def test_parts_of_a_step_share_a_host_and_another_step_gets_another(hosts: StepHosts, tmp_path: Path) -> None:
    request = step(tmp_path, WHO)
    first, second = run(request, 0), run(request, 1)
    assert first == second != [os.getpid()]
    assert run(step(tmp_path, WHO)) != first
    assert not psutil.pid_exists(first[0])


def test_the_function_reads_its_rows_and_writes_what_it_gives(hosts: StepHosts, tmp_path: Path) -> None:
    request = step(tmp_path, "def process(batch): return batch.slice(1)")
    assert (run(request, 0), run(request, 1)) == ([1, 2], [4, 5])
    assert run(step(tmp_path, "def process(batch): return batch.slice(0, 0)")) == []


@pytest.mark.parametrize(
    "attempt",
    [
        "open({secret!r})",
        "open({link!r})",
        "os.listdir({other!r})",
        "open({other!r} + '/x', 'w')",
        "open('/proc/{worker}/environ', 'rb')",
        "open('/proc/{worker}/mem', 'rb')",
        "os.kill({worker}, 0)",
        "os.kill(os.getppid(), 9)",
        "socket.socket(socket.AF_UNIX)",
        "ctypes.CDLL(None, use_errno=True).ptrace(16, {worker}, 0, 0) and denied()",
        "os.open({output!r}, os.O_RDONLY)",
    ],
)
def test_the_function_reaches_nothing_but_its_own_step(hosts: StepHosts, tmp_path: Path, attempt: str) -> None:
    secret, other, link = tmp_path / "secret", tmp_path / "other_run", tmp_path / "in" / "link"
    secret.write_text("sesame")
    other.mkdir()
    link.parent.mkdir()
    link.symlink_to(secret)
    names = {"secret": str(secret), "other": str(other), "link": str(link), "worker": os.getpid()}
    line = attempt.format(**names, output=str(tmp_path / "out"))
    denied = "def denied(): raise PermissionError(1, 'Operation not permitted')"
    python = f"import ctypes, os, socket\n{denied}\ndef process(batch):\n    {line}\n    return batch"
    assert "PermissionError" in refused(step(tmp_path, python))


def test_no_variable_of_the_worker_reaches_the_function(hosts: StepHosts, tmp_path: Path) -> None:
    python = (
        "import os\ndef process(batch):\n"
        "    known = open('/proc/self/environ').read() + str(dict(os.environ))\n"
        "    raise ValueError('secret' if 'sesame' in known else 'none')"
    )
    assert "ValueError: none; " in refused(step(tmp_path, python))


def test_its_code_is_there_and_cannot_be_changed(hosts: StepHosts, tmp_path: Path) -> None:
    rules = (
        b"import pathlib\nDATA = pathlib.Path(__file__).parent / 'data.txt'\n"
        b"def process(batch):\n    assert DATA.read_text() == '7'\n    DATA.write_text('8')\n"
    )
    files = {"rules.py": base64.b64encode(rules).decode(), "data.txt": base64.b64encode(b"7").decode()}
    code = SentCode(name="drls_code_" + "0" * 32, files=files, root=str(tmp_path / "code"))
    request = step(tmp_path, "from rules import process", code=code)
    assert "PermissionError" in refused(request)
    assert next((tmp_path / "code").glob("*/data.txt")).read_text() == "7"


def test_random_numbers_differ_between_hosts(hosts: StepHosts, tmp_path: Path) -> None:
    python = "import numpy, random, pyarrow as pa\ndef process(batch): return pa.table({'id': [DRAWN]})"
    for drawn in ("int(numpy.random.random() * 2**50)", "int(random.random() * 2**50)"):
        made = [run(step(tmp_path, python.replace("DRAWN", drawn))) for _ in range(2)]
        assert made[0] != made[1]


def test_ray_is_refused_with_what_to_do(hosts: StepHosts, tmp_path: Path) -> None:
    said = refused(step(tmp_path, "import ray\ndef process(batch): ray.get(ray.put(1))"))
    assert "cannot start Ray tasks or actors" in said
    assert "fence.mode = off" in said


def test_without_a_fence_the_function_runs_in_the_worker(tmp_path: Path) -> None:
    assert run(step(tmp_path, WHO, fence=FenceSettings(mode="off"))) == [os.getpid()]


DAEMON = """
import os
def process(batch):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve({python!r}, ["python", "-c", "import time; time.sleep(600)", {mark!r}], {{}})
        os._exit(0)
    return batch
"""


def marked(mark: str) -> list[int]:
    return [one.pid for one in psutil.process_iter(["cmdline"]) if mark in (one.info["cmdline"] or [])]


def test_what_a_function_started_ends_with_its_host(hosts: StepHosts, tmp_path: Path) -> None:
    mark = f"left by {tmp_path}"
    assert run(step(tmp_path, DAEMON.format(python=sys.executable, mark=mark))) == [0, 1, 2]
    wait_until(lambda: marked(mark))
    hosts.end()
    assert not marked(mark)


def test_a_function_that_ends_its_process_is_tried_again_and_then_told(hosts: StepHosts, tmp_path: Path) -> None:
    python = "import os\ndef process(batch): os._exit(3)"
    with pytest.raises(StepCrashed, match="ended 4 times without an answer: its function ends the process with exit"):
        run(step(tmp_path, python))
    (tmp_path / "tried").mkdir()
    once = f"""
import os
def process(batch):
    if not os.listdir({str(tmp_path / "tried")!r}):
        open({str(tmp_path / "tried" / "one")!r}, "w").close()
        os.kill(os.getpid(), 9)
    return batch
"""
    allowed = FenceSettings(write=(str(tmp_path / "tried"),))
    assert run(step(tmp_path, once, fence=allowed)) == [0, 1, 2]


@pytest.mark.parametrize("victim", ["zygote", "host"])
def test_a_killed_zygote_or_host_leaves_nothing_and_the_next_part_works(
    hosts: StepHosts, tmp_path: Path, victim: str
) -> None:
    request = step(tmp_path, WHO)
    (host,) = run(request, 0)
    zygote, created = psutil.Process(host).ppid(), psutil.Process(host).create_time()
    os.kill({"zygote": zygote, "host": host}[victim], signal.SIGKILL)
    wait_until(lambda: not process_is(host, created))  # it could answer once more before it hears of its zygote's end
    (again,) = run(request, 1)
    assert again != host


def test_a_killed_worker_takes_its_host_along(tmp_path: Path) -> None:
    note = tmp_path / "note"
    python = f"import os, time\ndef process(batch):\n    open({str(note)!r}, 'w').write(str(os.getpid()))\n    time.sleep(600)"
    request = step(tmp_path, python, fence=FenceSettings(write=(str(tmp_path),)))
    (tmp_path / "tmp").mkdir()
    code = (
        "import sys; from drls_dagster.engine.ray_work import *; request = ProcessRequest.model_validate_json(sys.argv[1])\n"
        "write_part(pa.table({'paths': [list(request.inputs[0])]}), request)"
    )
    command = [sys.executable, "-c", code, request.model_dump_json()]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")}) as worker:
        wait_until(lambda: note.exists() and note.read_text())
        host = int(note.read_text())
        worker.kill()
    wait_until(lambda: not psutil.pid_exists(host))
    wait_until(lambda: not list((tmp_path / "tmp").iterdir()) and not list((tmp_path / "out").iterdir()))


def test_an_abandoned_function_ends_and_the_worker_stays(
    hosts: StepHosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abandoned, "LOOK_SECONDS", 0.05)
    note = tmp_path / "note"
    allowed = FenceSettings(write=(str(tmp_path),))
    python = f"import os, time\ndef process(batch):\n    open({str(note)!r}, 'w').close()\n    time.sleep(600)"
    request = step(tmp_path, python, fence=allowed)

    def leave() -> None:
        wait_until(note.exists)
        abandoned.abandon(request.output, request.ticket)

    leaving = threading.Thread(target=leave)
    leaving.start()
    with pytest.raises(abandoned.Abandoned):
        run(request)
    leaving.join()
    assert run(step(tmp_path, "def process(batch): return batch")) == [0, 1, 2]


def test_an_idle_host_ends(hosts: StepHosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_hosts, "IDLE_SECONDS", 0.05)
    (host,) = run(step(tmp_path, WHO))
    wait_until(lambda: not psutil.pid_exists(host))


def test_no_link_of_the_function_becomes_the_steps_output(hosts: StepHosts, tmp_path: Path) -> None:
    secret = tmp_path / "secret.parquet"
    pq.write_table(pa.table({"id": [42]}), secret)
    python = f"""
import os
def process(batch):
    (folder,) = [os.path.dirname(os.readlink("/proc/self/fd/" + fd)) for fd in os.listdir("/proc/self/fd")
                 if os.path.exists("/proc/self/fd/" + fd) and os.readlink("/proc/self/fd/" + fd).endswith(".parquet")
                 and "/.host-" in os.readlink("/proc/self/fd/" + fd)]
    (name,) = [name for name in os.listdir(folder) if name.endswith(".parquet")]
    os.unlink(folder + "/" + name)
    os.symlink({str(secret)!r}, folder + "/" + name)
    return batch
"""
    assert "left no file of its own" in refused(step(tmp_path, python))
    assert not [one for one in (tmp_path / "out").iterdir() if one.name.endswith(".parquet")]
