"""The questions that DRLS's server and dagster-mcp both answer, asked of one Dagster."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from agent.tools.registry import all_tools
from agent.tools.schema import size
from benchmarks.lab import CHECKOUT, Lab, in_turn, seconds
from benchmarks.mcp_stdio import Stdio, stdio
from benchmarks.report import Line, Side
from drls_dagster.orchestrator.running_up import running_up

_WAIT = 240.0
Call = tuple[str, dict[str, Any]]


def ask_both(lab: Lab, ours: tuple[str, ...], other: str) -> list[Line]:
    """How long each takes for an answer, and how much of a model's context the answer fills."""
    with _up(lab) as (url, token):
        made = subprocess.run(
            [sys.executable, "-m", "benchmarks.mcp_runs", str(lab.times(30, 9))],
            cwd=CHECKOUT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        failed = next(run for run, success in json.loads(made.stdout.splitlines()[-1]) if not success)
        headers = json.dumps({"Authorization": f"Bearer {token}"})
        known = {"DAGSTER_URL": f"{url}/dagster", "DAGSTER_EXTRA_HEADERS": headers}
        with stdio(ours, {"DRLS_TOKEN": token}) as mine, stdio((other,), known) as theirs:
            return [line for question in _questions(failed) for line in _asked(lab, mine, theirs, *question)]


def _questions(failed: str) -> list[tuple[str, Call, Call]]:
    run = {"run_id": failed}
    why = ("explain_run", run) if "explain_run" in {one.name for one in all_tools()} else None
    return [
        ("what ran", ("list_runs", {"limit": 10}), ("get_runs", {"limit": 10})),
        ("how did this run go", ("get_run", run), ("get_run_status", run)),
        ("what does its log say", ("get_run", {**run, "logs": "info"}), ("get_run_logs", run)),
        ("why did it fail", why or ("get_run", {**run, "logs": "error"}), ("get_run_failure_summary", run)),
    ]


def _asked(lab: Lab, mine: Stdio, theirs: Stdio, what: str, ours: Call, other: Call) -> Iterator[Line]:
    lengths = [_length(server.call(*call)) for server, call in ((mine, ours), (theirs, other))]
    took = in_turn(
        lab.times(20, 5),
        lambda: 1000 * seconds(lambda: mine.call(*ours)),
        lambda: 1000 * seconds(lambda: theirs.call(*other)),
    )
    note = f"{ours[0]} answers with {lengths[0]} bytes, {other[0]} with {lengths[1]}"
    yield Line("mcp", what, Side(ours[0], took[0], "ms"), Side(f"dagster-mcp {other[0]}", took[1], "ms"), note=note)


def _length(result: dict[str, Any]) -> int:
    """What a model reads."""
    return size([one.get("text", "") for one in result["content"]])


@contextlib.contextmanager
def _up(lab: Lab) -> Iterator[tuple[str, str]]:
    """A `drls up` in the lab's home: its address, and the Admin's token."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "drls_dagster.cli.main", "up", "--port", str(port)]
    log = lab.folder / "up.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=out, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + _WAIT
        while "up in" not in log.read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"drls up did not come up: {log.read_text()[-500:]}")
            time.sleep(0.5)
        found = running_up(lab.settings)
        assert found is not None
        yield found.url, (lab.settings.home / "secret").read_text().strip()
    finally:
        process.terminate()
        process.wait(60)
