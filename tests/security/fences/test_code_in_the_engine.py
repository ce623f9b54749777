"""What the engine's fence keeps from code in the engine itself, such as Java classes that a session brings.

The fence alone, as an engine starts with it; in a running engine test_attacking_pipeline.py tries the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drls_dagster.engine.jars import jar_paths
from drls_dagster.fences import enter
from drls_dagster.fences.fence import Fence
from drls_dagster.fences.fences import can_view, confined
from drls_dagster.settings import load_settings
from tests.security.fences.attack import other_program
from tests.security.fences.owners import EVERY_OWNER, Owner, owner_of

pytestmark = pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock")

ATTEMPTS = Path(__file__).with_name("engine_attempts.py").read_text()
# As the engine's driver is started, but for what is started.
FENCED = """
import subprocess, sys
from drls_dagster.engine import client
from drls_dagster.engine.handover import engine_environment
from drls_dagster.engine.places import make_places
from drls_dagster.settings import load_settings
settings = load_settings()
make_places(settings)
command = client._command(settings)
command[command.index("--") + 1:] = [sys.executable, *sys.argv[1:-1]]
(settings.home / "engine" / "scratch" / "aims.json").write_text(open(sys.argv.pop()).read())
command.append(str(settings.home / "engine" / "scratch" / "aims.json"))
sys.exit(subprocess.run(command, env=engine_environment(settings), stdin=subprocess.DEVNULL).returncode)
"""
# Only the kernel's /proc for root leaves out processes, and not where they belong to several accounts.
OF_EVERYBODY = {"the command of a program"}


@pytest.fixture(params=EVERY_OWNER, scope="module")
def owner(request: pytest.FixtureRequest) -> Iterator[Owner]:
    with owner_of(request.param) as made:
        assert made.drls("db", "upgrade").returncode == 0
        yield made


@pytest.fixture(scope="module")
def aims(owner: Owner) -> Iterator[dict[str, Any]]:
    """Programs that listen, files and a process of this account, and the jars of the engine."""
    jars = jar_paths(load_settings(owner.home))
    mine = owner.folder / "mine"
    (owner.home / "jars").mkdir(mode=0o700)
    for path in (*jars, mine):
        path.write_text("PK")
    if owner.uid is not None:
        for path in (*jars, owner.home / "jars", mine):
            os.chown(path, owner.uid, owner.gid)
    with other_program(owner) as (sockets, shared), subprocess.Popen(owner.command(["sleep", "1000.25"])) as program:
        yield {
            "sockets": sockets,
            "outside": {"a file": str(mine), "the secret": str(owner.home / "secret")},
            "jars": str(owner.home / "jars"),
            "own": str(owner.home / "engine" / "scratch"),
            "engine": str(owner.home / "engine"),
            "pids": {"a program": program.pid},
            "shared": shared,
        }
        program.kill()


def command_of(owner: Owner, aims: dict[str, Any]) -> list[str]:
    """The attempts, for whoever's Python is given."""
    said = owner.folder / "aims.json"
    said.write_text(json.dumps(aims))
    return ["-I", "-c", ATTEMPTS, str(said)]


def told(owner: Owner, *command: str) -> dict[str, str | None]:
    done = owner.run(*command)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_attempts_go_through_without_a_fence(owner: Owner, aims: dict[str, Any]) -> None:
    """Otherwise that they are refused would say nothing."""
    (owner.home / "engine" / "scratch").mkdir(parents=True, exist_ok=True)
    if owner.uid is not None:
        for path in (owner.home / "engine", owner.home / "engine" / "scratch"):
            os.chown(path, owner.uid, owner.gid)
    said = told(owner, sys.executable, *command_of(owner, aims))
    if os.geteuid() == 0:  # it gave the secret away, and DRLS refuses a home with another account's files
        os.chown(owner.home / "secret", 0 if owner.uid is None else owner.uid, -1)
    wanted = ("connect to ", "change the mode of", "write into", "move away", "a set-user-ID file", "put a jar", "see ")
    assert [name for name, found in said.items() if name.startswith(wanted) and found is None] == []
    assert said["the command of a program"] is not None


@pytest.mark.skipif(not can_view(), reason="no mount namespace can be made here")
def test_code_in_the_engine_reaches_nothing_outside(owner: Owner, aims: dict[str, Any]) -> None:
    said = told(owner, sys.executable, "-c", FENCED, *command_of(owner, aims))
    assert len(said) > 50
    got = {name: found for name, found in said.items() if found is not None}
    if owner.uid is not None or owner.code is not None or os.geteuid() != 0:
        assert got.keys() == OF_EVERYBODY
    else:
        assert got == {}


def test_without_a_namespace_files_with_rights_and_jars_are_still_refused(aims: dict[str, Any], owner: Owner) -> None:
    """What is left is what SECURITY.md names: sockets, shared memory, and what stat and chmod do."""
    if owner.code is not None:
        pytest.skip("an account of its own needs a mount namespace")
    outer = Fence(read=("/",), write=("/",), unix_sockets=True, strict=False, capabilities=tuple(range(41)))
    command = confined(outer, [sys.executable, "-c", FENCED, *command_of(owner, aims)])
    said = told(owner, *command)
    left = (
        *("connect to", "send to", "any other Unix socket", "shared memory"),
        "see ",
        "change the ",
        "the command of",
    )
    assert {name for name, found in said.items() if found is not None and not name.startswith(left)} == set()
    assert said[f"connect to {aims['sockets'][0]}"] is not None
