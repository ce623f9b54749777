"""What a fence keeps from the code in it, tried on a real home with its real web process. The fence alone, no engine."""

from __future__ import annotations

import json
import os
import pty
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drls_dagster.fences import enter
from tests.security.fences.owners import EVERY_OWNER, Owner, owner_of
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock")

ATTEMPTS = Path(__file__).with_name("attempts.py").read_text()
# As whoever starts the code of a pipeline does it.
FENCED = """
import os, subprocess, sys
from drls_dagster.fences.environment import code_environment
from drls_dagster.fences.fences import account_of, code_fence, confined
from drls_dagster.fences.private_folder import make_private_folder
from drls_dagster.settings import load_settings
settings = load_settings()
tmp = make_private_folder(settings, account_of(settings))
fence = code_fence(settings, write=(str(tmp), *OPEN))
command = confined(fence, [sys.executable, "-I", "-c", *sys.argv[1:]])
sys.exit(subprocess.run(command, env=code_environment(settings, tmp), stdin=subprocess.DEVNULL).returncode)
"""


# Of any process, or only of root's.
NOT_HERE = {
    "a gateway without a token",
    "query the secret",
    "query the key",
    "secrets among its own variables",
    "files that it inherited",
    "a device",
    "a mount",
    "another account",
    "the variables of any process",
    "signal any process",
    "process_vm_readv of the web process",
}
NOT_WITHOUT_ROOT = {"the kernel", "rights of root", "what starts later"}


@pytest.fixture(params=EVERY_OWNER, scope="module")
def owner(request: pytest.FixtureRequest) -> Iterator[Owner]:
    """Whoever owns the home, which has its store, key and the first Admin's token."""
    with owner_of(request.param) as made:
        done = made.drls("db", "upgrade")
        assert done.returncode == 0, done.stderr
        yield made


@pytest.fixture(scope="module")
def aims(owner: Owner) -> Iterator[dict[str, Any]]:
    """What there is to attack: the files of a home, its web process, and a terminal."""
    # One that whoever runs it may connect to, so that the attempt says something on every machine.
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0drls-test-{os.getpid()}-{owner.folder.name}")
    abstract.listen()
    (owner.home / "staging/of-another-run").mkdir(parents=True, exist_ok=True)
    if owner.uid is not None:
        for made in (owner.home / "staging", owner.home / "staging/of-another-run"):
            os.chown(made, owner.uid, owner.gid)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "drls_dagster.cli.main", "serve", "--workers", "1", "--port", str(port)]
    ours, theirs = pty.openpty()
    terminal = os.ttyname(theirs)
    os.chmod(terminal, 0o666)  # noqa: S103  also for another account
    log = owner.folder / "serve.log"
    with log.open("w") as out:
        serving = subprocess.Popen(
            owner.command(command), env=owner.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        wait_until(lambda: serving.poll() is not None or _listens(port), 120)
        assert serving.poll() is None, log.read_text()
        names = {"the secret": "secret", "the key": "signing-key.pem", "the store": "lifecycle.db"}
        yield {
            "files": {name: str(owner.home / file) for name, file in names.items()},
            "folders": {
                "the home": str(owner.home),
                "another run's staging": str(owner.home / "staging/of-another-run"),
            },
            "pids": {"the web process": serving.pid},
            "ports": {},
            "terminal": terminal,
        }
    finally:
        serving.terminate()
        serving.wait(30)
        abstract.close()
        os.close(ours)
        os.close(theirs)


def _listens(port: int) -> bool:
    with socket.socket() as made:
        return made.connect_ex(("127.0.0.1", port)) == 0


def told(owner: Owner, *command: str) -> dict[str, str | None]:
    done = owner.run(*command)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_attempts_go_through_without_a_fence(owner: Owner, aims: dict[str, Any]) -> None:
    """Otherwise that they are refused would say nothing."""
    said = told(owner, sys.executable, "-I", "-c", ATTEMPTS, json.dumps(aims))
    refused = {name for name, found in said.items() if found is None}
    rootless = owner.uid is not None or os.geteuid() != 0
    assert refused <= (NOT_WITHOUT_ROOT | NOT_HERE if rootless else NOT_HERE)


def test_fenced_code_reaches_nothing_of_the_platform(owner: Owner, aims: dict[str, Any]) -> None:
    said = told(owner, sys.executable, "-c", f"OPEN = (){FENCED}", ATTEMPTS, json.dumps(aims))
    assert {name: found for name, found in said.items() if found is not None} == {}
    assert "drls_" not in json.dumps(said)


def test_code_with_an_account_of_its_own_runs_as_it(owner: Owner) -> None:
    if owner.code is None:
        pytest.skip("pipeline code has the account of the installation here")
    entry = pwd.getpwnam(owner.code)
    asked = "import json, os; print(json.dumps([os.getresuid(), os.getresgid(), os.getgroups(), os.environ['USER']]))"
    done = owner.run(sys.executable, "-c", f"OPEN = (){FENCED}", asked)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[entry.pw_uid] * 3, [entry.pw_gid] * 3, [], owner.code]


def test_the_account_alone_keeps_the_files_of_the_platform(owner: Owner, aims: dict[str, Any]) -> None:
    """As if Landlock knew nothing of files: a fence that allows all of them, so that only their permissions count."""
    if owner.code is None:
        pytest.skip("pipeline code has the account of the installation here")
    (owner.home / "staging/of-another-run").chmod(0o700)  # as all that the engine makes
    said = told(owner, sys.executable, "-c", f"OPEN = ('/',){FENCED}", ATTEMPTS, json.dumps(aims))
    got = {name: found for name, found in said.items() if found is not None}
    assert json.loads(got.pop("list the home", '["private"]').replace("'", '"')) == ["private"]  # made for this fence
    named = (*aims["files"], *aims["folders"], *aims["pids"])
    assert {name: found for name, found in got.items() if name.endswith(named)} == {}
    assert "drls_" not in json.dumps(said)


def test_another_account_reaches_nothing_of_the_platform(owner: Owner, aims: dict[str, Any]) -> None:
    """Without any fence: the home is closed, and processes of another account cannot be looked into."""
    strangers = {None: "nobody", 65_534: "daemon"}
    python = "/usr/bin/python3"
    if os.geteuid() != 0 or not shutil.which("setpriv") or not Path(python).exists():
        pytest.skip("only root can become another account, which needs a Python that it can execute")
    name = strangers[owner.uid]
    stranger = ["setpriv", "--reuid", name, "--regid", "nogroup", "--clear-groups", python, "-I", "-c"]
    done = subprocess.run(
        [*stranger, ATTEMPTS, json.dumps(aims)],
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    got = {how for how, found in json.loads(done.stdout).items() if found is not None}
    assert [how for how in got if how.endswith((*aims["files"], *aims["folders"], *aims["pids"]))] == []
