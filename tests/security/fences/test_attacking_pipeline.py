"""Attacks from the code of a pipeline that `drls run` executes: from a Spark function, a UDF, a Ray step, a command, and SQL.

Somebody who may save a pipeline must not become Admin by running it: everything here is refused, in each of these places.
"""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterator

import pytest

from drls_dagster.fences import enter
from drls_dagster.fences.fences import can_view
from drls_dagster.settings import Settings
from tests.security.fences.attack import (
    ITS_ACCOUNT,
    PLACES,
    PROCESSES,
    Said,
    got_in,
    laid_out,
    pipeline,
    said_in,
    web_process,
)
from tests.security.fences.owners import OWNERS, WITH_ACCOUNT, Owner, owner_of

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock"),
]


@pytest.fixture(params=[OWNERS[0], WITH_ACCOUNT], scope="module")
def owner(request: pytest.FixtureRequest) -> Iterator[Owner]:
    """Whoever owns the installation: for the account of the tests the one whose engine all tests share."""
    if request.param == OWNERS[0]:
        engine: Settings = request.getfixturevalue("engine")
        yield Owner(engine.home.parent, name=engine.home.name)
        return
    with owner_of(request.param) as made:
        yield made
        stopped = made.drls("engine", "stop", "--force")
    assert stopped.returncode == 0, stopped.stderr


@pytest.fixture(scope="module")
def said(owner: Owner) -> Said:
    """What each place of the pipeline got, after one `drls run` of it."""
    for command in (["db", "upgrade"], ["engine", "start"]):
        done = owner.drls(*command, timeout=300)
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
    uids = {place: said[place][ITS_ACCOUNT] for place in PROCESSES}
    assert set(uids.values()) == {str([os.geteuid() if expected is None else expected] * 3)}


@pytest.mark.parametrize("place", PLACES)
def test_the_code_of_a_run_reaches_nothing_of_the_platform(owner: Owner, said: Said, place: str) -> None:
    assert len(said[place]) > 10
    # Only root can make a /proc of the engine's own, and not where code of the engine has another account.
    shows_commands = owner.code is not None or owner.uid is not None or os.geteuid() != 0 or not can_view()
    assert got_in(said, place, shows_commands=shows_commands) == {}


AIMS = ("secret", "lifecycle.db", "/proc/1/environ", "attack-out/secret")


@pytest.mark.parametrize("aim", AIMS)
def test_a_file_source_reaches_nothing_of_the_platform(owner: Owner, said: Said, aim: str) -> None:
    """Without any Python: a csv source, its error texts, and a link in landing."""
    assert said
    landing = owner.home / "landing"
    links = landing / "attack-out"
    links.mkdir(exist_ok=True)
    if owner.uid is not None:
        os.chown(links, owner.uid, owner.gid)
    secret = owner.home / "secret"
    token = secret.read_text().strip() if secret.exists() else "no token"
    if not (links / "secret").is_symlink():
        (links / "secret").symlink_to(secret)
    path = aim if aim.startswith(("/", "attack")) else str(owner.home / aim)
    source = {"kind": "files", "format": "csv", "path": path, "options": {"mode": "FAILFAST"}, "schema": {"id": "long"}}
    nodes = [
        {"id": "raw", "type": "source", "source": source},
        {"id": "kept", "type": "transform", "step": "spark", "sql": "SELECT raise_error(string(id)) AS id FROM raw"},
        {"id": "out", "type": "sink", "table": "attack.csv", "mode": "overwrite"},
    ]
    edges = [{"from": "raw", "to": "kept"}, {"from": "kept", "to": "out"}]
    file = owner.folder / "attack.json"
    file.write_text(json.dumps({"format_version": 1, "name": "attack_csv", "nodes": nodes, "edges": edges}))
    file.chmod(0o644)
    try:
        done = owner.drls("run", str(file), timeout=300)
    finally:
        file.unlink()
    assert done.returncode == 1
    assert token not in done.stdout + done.stderr
