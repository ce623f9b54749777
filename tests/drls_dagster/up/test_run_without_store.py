"""A run under `drls up` as its process sees it: it reaches the platform with its token, and opens nothing of it.

Its source has no files, so it is admitted, gets its turn, and ends before it needs the engine.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.drls_dagster.up.conftest import Up, start_up, until_stopped
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

PIPELINE = """\
format_version: 1
name: tiny
nodes:
  - {id: ticks, type: source, source: {kind: files, format: csv, path: 'none/*.csv'}}
  - {id: even, type: transform, step: spark, sql: SELECT * FROM ticks WHERE a % 2 = 0}
  - {id: kept, type: sink, table: tiny.even, mode: overwrite}
edges: [{from: ticks, to: even}, {from: even, to: kept}]
"""
# In every process of `drls up`: notes what it opens in its home.
HOOK = """\
import os, sys

HOME, LOG = {home!r}, os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def note(event, given):
    if event in ("open", "sqlite3.connect", "socket.connect") and given:
        place = str(given[-1] if event == "socket.connect" else given[0])
        if HOME in place:
            os.write(LOG, f"{{os.getpid()}} {{place}}\\n".encode())

sys.addaudithook(note)
"""
SECRETS = re.compile(r"(lifecycle\.db|runs\.db|signing-key\.pem|/secret|owner-token|jwt)")
LAUNCH = """
mutation { launchPipelineExecution(executionParams: { mode: "default",
  selector: {repositoryLocationName: "development", repositoryName: "__repository__", jobName: "tiny"}
}) { ... on LaunchRunSuccess { run { runId } } } }
"""


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Up, Path]]:
    home, log, hooks = tmp_path / "home", tmp_path / "opened", tmp_path / "hooks"
    (home / "pipelines").mkdir(parents=True)
    home.chmod(0o700)
    (home / "pipelines" / "tiny.yaml").write_text(PIPELINE)
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(textwrap.dedent(HOOK).format(home=str(home), log=str(log)))
    monkeypatch.setenv("PYTHONPATH", f"{hooks}:{Path(__file__).parents[3]}")
    for up in until_stopped(start_up(home)):
        yield up, log


def test_a_run_reaches_the_platform_by_its_token_and_opens_no_store_secret_or_key(watched: tuple[Up, Path]) -> None:
    up, log = watched
    saved = up.drls("pipeline", "save", str(up.home / "pipelines" / "tiny.yaml"))
    assert saved.returncode == 0, saved.stderr
    run_id = _ask(up, LAUNCH)["launchPipelineExecution"]["run"]["runId"]
    wait_until(lambda: _status(up, run_id) not in {"QUEUED", "STARTING", "STARTED", "NOT_STARTED"}, 120)
    events = _ask(up, f'{{ logsForRun(runId: "{run_id}") {{ ... on EventConnection {{ events {{ ... on MessageEvent '
                      f"{{ message }} }} }} }} }}")["logsForRun"]["events"]  # fmt: skip
    told = "\n".join(one.get("message", "") for one in events)
    assert _status(up, run_id) == "FAILURE"
    assert "intends to materialize" in told, told
    found = re.search(r"Started process for run \(pid: (\d+)\)", told)
    assert found is not None
    opened = [line.split(" ", 1)[1] for line in log.read_text().splitlines() if line.startswith(f"{found[1]} ")]
    assert any("runs.sock" in one for one in opened), "it asked the run service"
    assert any("/dagster/" in one for one in opened), "Dagster's own log of the run is its process's to write"
    assert [one for one in opened if SECRETS.search(one) and "/dagster/" not in one] == []
    assert list((up.home / "run-tokens").iterdir()) == []


def _status(up: Up, run_id: str) -> str:
    return _ask(up, f'{{ runOrError(runId: "{run_id}") {{ ... on Run {{ status }} }} }}')["runOrError"]["status"]


def _ask(up: Up, query: str) -> Any:
    answer = httpx.post(
        f"{up.url}/dagster/graphql", json={"query": query}, headers={"Authorization": f"Bearer {up.token}"}, timeout=60
    )
    return answer.json()["data"]
