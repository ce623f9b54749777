"""The attacks of a pipeline's code in a run that somebody launches at a real `drls up`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from drls_dagster.fences import enter
from drls_dagster.fences.fences import can_hide, can_view
from tests.drls_dagster.up.conftest import Up, start_up, until_stopped
from tests.ending import unless_gone
from tests.security.fences.attack import PLACES, Said, got_in, laid_out, pipeline, said_in
from tests.security.fences.owners import ACCOUNT, Owner
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock"),
]
HAS_ACCOUNT = os.geteuid() == 0 and can_hide()
RELOAD = 'mutation { reloadRepositoryLocation(repositoryLocationName: "development") { __typename } }'
JOBS = """{ repositoryOrError(repositorySelector:
  {repositoryLocationName: "development", repositoryName: "__repository__"}) { ... on Repository { jobs { name } } } }"""
LAUNCH = """
mutation { launchPipelineExecution(executionParams: { mode: "default",
  selector: {repositoryLocationName: "development", repositoryName: "__repository__", jobName: "attack"}
}) { ... on LaunchRunSuccess { run { runId } } } }
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Where root runs the tests, the code of pipelines has an account of its own."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("up") / "home"
        (home / "pipelines").mkdir(parents=True)
        home.chmod(0o700)
        own = f'[fence]\naccount = "{ACCOUNT}"\n' if HAS_ACCOUNT else ""
        (home / "drls.toml").write_text(f"[engine]\nstart_seconds = 900\n{own}")
        patch.delenv("DRLS_HOME", raising=False)
        yield from until_stopped(start_up(home))


@pytest.fixture(scope="module")
def said(up: Up) -> Iterator[Said]:
    """What each place of the pipeline got."""
    owner = Owner(up.home.parent, name=up.home.name)
    started = up.drls("engine", "start")
    assert started.returncode == 0, started.stderr
    try:
        with laid_out(owner, processes_of(up)) as aims:
            launched(up, aims)
        yield said_in(owner)
    finally:
        up.drls("engine", "stop", "--force")


def processes_of(up: Up) -> dict[str, int]:
    """The processes of the platform, by what they are."""
    names = {"the web process": "up.web.serve", "the run service": "runs.server", "the daemon": "dagster daemon"}
    below = psutil.Process(up.process.pid).children(recursive=True)
    found = {
        name: one.pid
        for name, part in names.items()
        for one in below
        if part in " ".join(unless_gone(one.cmdline, [])).replace("/", ".")
    }
    assert "the web process" in found, [unless_gone(one.cmdline, []) for one in below]
    assert "the run service" in found
    return {"drls up": up.process.pid, **found}


def launched(up: Up, aims: dict[str, Any]) -> None:
    file = Path(up.home / "pipelines" / "attack.json")
    file.write_text(json.dumps(pipeline(aims)))
    saved = up.drls("pipeline", "save", str(file))
    assert saved.returncode == 0, saved.stderr
    ask(up, RELOAD)
    wait_until(lambda: "attack" in str(ask(up, JOBS)), 120)
    run_id = ask(up, LAUNCH)["launchPipelineExecution"]["run"]["runId"]
    wait_until(lambda: status(up, run_id) not in {"QUEUED", "STARTING", "STARTED", "NOT_STARTED"}, 300)
    assert status(up, run_id) == "SUCCESS", (up.home / "logs" / "runs.log").read_text()[-5000:]


def status(up: Up, run_id: str) -> str:
    return ask(up, f'{{ runOrError(runId: "{run_id}") {{ ... on Run {{ status }} }} }}')["runOrError"]["status"]


def ask(up: Up, query: str) -> Any:
    answer = httpx.post(
        f"{up.url}/dagster/graphql", json={"query": query}, headers={"Authorization": f"Bearer {up.token}"}, timeout=60
    )
    return answer.json()["data"]


@pytest.mark.parametrize("place", PLACES)
def test_the_code_of_a_launched_run_reaches_nothing_of_the_platform(said: Said, place: str) -> None:
    assert len(said[place]) > 10
    # Where root runs the tests and can hide folders, code has an account of its own: then, and without root.
    shows_commands = HAS_ACCOUNT or os.geteuid() != 0 or not can_view()
    assert got_in(said, place, shows_commands=shows_commands) == {}
