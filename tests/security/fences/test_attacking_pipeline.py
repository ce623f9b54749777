"""Attacks from the code of a pipeline that `drls run` executes: from a Spark function, a UDF, a Ray step, and SQL.

Somebody who may save a pipeline must not become Admin by running it: everything here is refused, in each of these places.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from drls_dagster.fences import enter
from drls_dagster.settings import Settings
from tests.conftest import ONCE
from tests.security.fences.attack import PLACES, Said, laid_out, pipeline, said_in, web_process
from tests.security.fences.owners import OWNERS, WITH_ACCOUNT, Owner, owner_of

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock"),
]


@pytest.fixture(params=[*OWNERS, WITH_ACCOUNT], scope="module")
def owner(request: pytest.FixtureRequest) -> Iterator[Owner]:
    """Whoever owns the installation: for the account of the tests the one whose engine all tests share.

    Each of the others has one engine, and runs two pipelines in it.
    """
    engine: Settings = request.getfixturevalue("engine")
    if request.param == OWNERS[0]:
        yield Owner(engine.home.parent, name=engine.home.name)
        return
    with owner_of(request.param) as made:
        made.home.mkdir(mode=0o700)
        shutil.copytree(engine.home / "jars", made.home / "jars")
        if made.uid is not None:
            for one in (made.home, *made.home.rglob("*")):
                os.chown(one, made.uid, made.gid)
        yield made
        stopped = made.drls("engine", "stop", "--force")
    assert stopped.returncode == 0, stopped.stderr


@pytest.fixture(scope="module")
def said(owner: Owner) -> Said:
    """What each place of the pipeline got, after one `drls run` of it."""
    for command in (["db", "upgrade"], ["engine", "start"]):
        done = owner.drls(*command, timeout=300, JAVA_TOOL_OPTIONS=ONCE)
        assert done.returncode == 0, done.stderr
    with web_process(owner) as web, laid_out(owner, {"the web process": web}) as aims:
        file = owner.folder / "attack.json"
        file.write_text(json.dumps(pipeline(aims)))
        file.chmod(0o644)
        try:
            done = owner.drls("run", str(file), timeout=300)
        finally:
            file.unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    return said_in(owner)


def test_code_runs_as_the_account_it_is_given(owner: Owner, said: Said) -> None:
    """In each process of its own; what Spark itself reads, the engine reads."""
    expected = owner.uid if owner.code is None else pwd.getpwnam(owner.code).pw_uid
    uids = {place: said[place].pop("its account") for place in PLACES[1:]}
    assert set(uids.values()) == {str([os.geteuid() if expected is None else expected] * 3)}


@pytest.mark.parametrize("place", PLACES)
def test_the_code_of_a_run_reaches_nothing_of_the_platform(said: Said, place: str) -> None:
    assert len(said[place]) > 10
    assert {name: found for name, found in said[place].items() if found is not None} == {}


AIMS = ("secret", "lifecycle.db", "/proc/1/environ", "attack-out/secret")


@pytest.fixture(scope="module")
def read_by_sources(owner: Owner, said: Said) -> Iterator[subprocess.CompletedProcess[str]]:
    """One `drls run` of a pipeline with a csv source, and a sink of its own, for each of the paths."""
    assert said
    links = owner.home / "landing" / "attack-out"
    links.mkdir(exist_ok=True)
    secret = owner.home / "secret"
    (links / "secret").symlink_to(secret)
    if owner.uid is not None:
        os.chown(links, owner.uid, owner.gid)
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, str]] = []
    for number, aim in enumerate(AIMS):
        path = aim if aim.startswith(("/", "attack")) else str(owner.home / aim)
        source = {"kind": "files", "format": "csv", "path": path, "options": {"mode": "FAILFAST"}}
        names = [f"{kind}{number}" for kind in ("raw", "kept", "out")]
        shows = f"SELECT raise_error(string(id)) AS id FROM {names[0]}"
        nodes += [
            {"id": names[0], "type": "source", "source": {**source, "schema": {"id": "long"}}},
            {"id": names[1], "type": "transform", "step": "spark", "sql": shows},
            {"id": names[2], "type": "sink", "table": f"attack.csv{number}", "mode": "overwrite"},
        ]
        edges += [{"from": names[0], "to": names[1]}, {"from": names[1], "to": names[2]}]
    file = owner.folder / "attack.json"
    file.write_text(json.dumps({"format_version": 1, "name": "attack_csv", "nodes": nodes, "edges": edges}))
    file.chmod(0o644)
    yield owner.drls("run", str(file), "--json", timeout=300)
    file.unlink()
    shutil.rmtree(links)


def test_file_sources_reach_nothing_of_the_platform(
    owner: Owner, read_by_sources: subprocess.CompletedProcess[str]
) -> None:
    """Without any Python: a csv source, its error texts, and a link in landing."""
    secret = owner.home / "secret"
    token = secret.read_text().strip() if secret.exists() else "no token"
    done = read_by_sources
    assert done.returncode == 1
    assert token not in done.stdout + done.stderr
    (told,) = json.loads(done.stdout)
    assert told["tables"] == []
    states = {one["node"]: one["state"] for one in told["steps"] if one["node"].startswith("out")}
    assert states.keys() == {f"out{number}" for number in range(len(AIMS))}
    assert not {"done", "waiting"} & set(states.values()), told
