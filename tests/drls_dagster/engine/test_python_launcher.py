"""What Spark starts as its Python is fenced for one session. Here without Spark: the launcher itself."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from drls_dagster.engine.places import make_places
from drls_dagster.engine.python_launcher import spark_python
from drls_dagster.fences import enter
from drls_dagster.fences.engine_fence import engine_fence
from drls_dagster.fences.fences import can_hide, confined
from drls_dagster.settings import FenceSettings, Settings, load_settings
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock")
SESSION = "0b5b1f3e-1c1b-4c1e-9d1f-2f3b4c5d6e7f"


@pytest.fixture
def settings(drls_home: Path) -> Settings:
    return Settings.model_construct(home=drls_home, fence=FenceSettings(mode="required"))


def started(settings: Settings, code: str, cwd: Path, *given: str, **more: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "SPARK_JOB_ARTIFACT_UUID": SESSION, "PYTHON_WORKER_FACTORY_SECRET": "own", **more}
    command = [spark_python(settings), "-c", code, *given]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe)


def said(settings: Settings, expression: str, cwd: Path, **more: str) -> Any:
    """What an expression is in a worker; the name of the error that stopped it."""
    code = (
        "import json, os, socket\n"
        f"try: found = {expression}\nexcept Exception as error: found = type(error).__name__\nprint(json.dumps(found))"
    )
    with started(settings, code, cwd, **more) as process:
        told, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return json.loads(told)


def test_a_worker_reads_the_files_of_its_session_and_nothing_of_the_home(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / SESSION).mkdir()
    (tmp_path / SESSION / "mine").write_text("yes")
    (tmp_path / "other").write_text("no")
    spark_python(settings)
    (settings.home / "secret").write_text("sesame")
    assert said(settings, f"open('{SESSION}/mine').read()", tmp_path) == "yes"
    for path in (
        "other",
        f"{settings.home}/secret",
        f"{settings.home}/engine/python-worker.json",
        f"{settings.home}/engine",
    ):
        assert said(settings, f"open({path!r}).read()", tmp_path) == "PermissionError"
    assert said(settings, f"os.listdir('{settings.home}')", tmp_path) == "PermissionError"
    assert said(settings, f"open('/proc/{os.getpid()}/environ', 'rb').read()", tmp_path) == "PermissionError"
    assert said(settings, f"os.kill({os.getpid()}, 0)", tmp_path) == "PermissionError"
    assert said(settings, "socket.socket(socket.AF_UNIX)", tmp_path) == "PermissionError"


def test_a_worker_gets_what_spark_says_to_it_and_no_credential(settings: Settings, tmp_path: Path) -> None:
    secrets = ("SPARK_CONNECT_AUTHENTICATE_TOKEN", "_SPARK_AUTH_SECRET", "RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY")
    names = said(settings, "sorted(os.environ)", tmp_path, **dict.fromkeys((*secrets, "DRLS_LIFECYCLE__URL"), "x"))
    assert {"SPARK_JOB_ARTIFACT_UUID", "PYTHON_WORKER_FACTORY_SECRET", "PATH"} <= set(names)
    assert not [name for name in names if name in secrets or name.startswith(("RAY_", "AWS_", "DRLS_"))]


def test_two_workers_have_private_folders_that_go_with_them(settings: Settings, tmp_path: Path) -> None:
    write = "(os.environ['TMPDIR'], open(os.environ['TMPDIR'] + '/a', 'w').write('x'), os.environ['HOME'])"
    first, second = said(settings, write, tmp_path), said(settings, write, tmp_path)
    assert first[0] == first[2] != second[0]
    assert list((settings.home / "engine" / "tmp").iterdir()) == []


LEAVES_ONE = """
import os, sys
if os.fork() == 0:
    os.setsid()
    os.execve(sys.executable, ['python', '-c', 'import time; time.sleep(600)', sys.argv[1]], {})
print('up', flush=True)
sys.stdin.read()
"""


def left_of(tmp_path: Path) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in (one.info["cmdline"] or [])]


def leaving_one(settings: Settings, tmp_path: Path) -> subprocess.Popen[bytes]:
    """A worker that starts another process, which does not end with it."""
    return started(settings, LEAVES_ONE, tmp_path, str(tmp_path))


@pytest.mark.parametrize("end", ["stdin", "terminate", "kill"])
def test_what_a_worker_started_ends_with_it(settings: Settings, tmp_path: Path, end: str) -> None:
    with leaving_one(settings, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        wait_until(lambda: left_of(tmp_path))
        if end == "stdin":
            process.stdin.close()
        elif end == "terminate":
            process.terminate()
        else:
            (python,) = psutil.Process(process.pid).children()
            python.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    assert not left_of(tmp_path)
    assert list((settings.home / "engine" / "tmp").iterdir()) == []


@pytest.mark.parametrize("how", ["ignored", "blocked"])
def test_a_worker_is_terminated_whatever_its_starter_does_with_the_signal(
    settings: Settings, tmp_path: Path, how: str
) -> None:
    """A program inherits which signals are ignored and which are blocked."""
    before = signal.getsignal(signal.SIGTERM)
    if how == "ignored":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        process = leaving_one(settings, tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        process.wait(timeout=60)
    assert not left_of(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_a_worker_that_is_terminated_at_any_moment_leaves_nothing(
    settings: Settings, tmp_path: Path, seed: int
) -> None:
    moment = random.Random(seed).uniform(0, 0.4)
    with leaving_one(settings, tmp_path) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moment)
        process.terminate()
        process.wait(timeout=60)
        assert process.returncode != 0
    assert not left_of(tmp_path)
    made = settings.home / "engine" / "tmp"
    assert not made.exists() or list(made.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0 or not can_hide(), reason="only root can become another account")
def test_a_worker_can_have_an_account_while_its_parent_keeps_the_engines(drls_home: Path, tmp_path: Path) -> None:
    """In the fence of an engine, as Spark starts it, with signals that reach it."""
    entry, work = pwd.getpwnam("nobody"), tmp_path / "work"
    (work / SESSION).mkdir(parents=True)
    (work / SESSION / "mine").write_text("yes")
    settings = load_settings().model_copy(update={"fence": FenceSettings(mode="required", account="nobody")})
    make_places(settings)
    code = (
        "import json, os, sys, time\n"
        "tmp = os.environ['TMPDIR']\n"
        "open(tmp + '/a', 'w').close()\n"
        f"told = [os.getresuid(), os.getresgid(), open('{SESSION}/mine').read(), os.stat(tmp).st_uid, os.getppid()]\n"
        "print(json.dumps(told), flush=True)\n"
        "time.sleep(600)"
    )
    command = confined(engine_fence(settings, write=(str(work),)), [spark_python(settings), "-c", code])
    environment = {**os.environ, "SPARK_JOB_ARTIFACT_UUID": SESSION}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, cwd=work, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told == [[entry.pw_uid] * 3, [entry.pw_gid] * 3, "yes", entry.pw_uid, process.pid]
        assert psutil.Process(process.pid).uids().real == 0
        process.terminate()
        process.wait(timeout=60)
    assert list((settings.home / "engine" / "tmp").iterdir()) == []


def test_without_a_fence_spark_starts_python(drls_home: Path) -> None:
    off = Settings.model_construct(home=drls_home, fence=FenceSettings(mode="off"))
    assert "python-worker" not in spark_python(off)
