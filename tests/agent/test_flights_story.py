"""The whole story on the flights demo, as an agent plays it over MCP: a real engine, a real `drls up`, official clients."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, StdioServerParameters

from drls_dagster.cli.demo_data import lay_out
from drls_dagster.demo import versions
from lifecycle.domain.explanation import Cause
from lifecycle.spec import PipelineSpec, dump_yaml
from tests.agent.mcp.world import CLI, agrees, over_http, text_of
from tests.drls_dagster.up.conftest import Up, environment_of, start_up, until_stopped

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1800)]
EXAMPLE = Path(__file__).parents[2] / "examples" / "flights" / "flights_daily.yaml"
AUGUST = "2013-08-01"  # the weather has gaps
DECISIONS = ("approve", "reject", "review", "execute", "break_glass", "set_policy", "grant", "issue_token")
HEADING = """# What an agent does with the flights example

These are the calls of one session over MCP and the beginnings of the answers, as `make pictures` recorded them: the agent
saves a pipeline, runs it in QA, breaks it, finds out why, repairs it, and requests its promotion to UAT. A person confirmed each
change. No tool decides: only people approve.
"""
DECIDING = {"approve": {"plan_digest": ""}, "reject": {"plan_digest": "", "reason": "no"}}
# How a client of this name is connected, given what answers questions.
Way = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DRLS_HOME", raising=False)
        home = tmp_path_factory.mktemp("story") / "home"
        home.mkdir(mode=0o700)
        (home / "drls.toml").write_text("[engine]\nstart_seconds = 900\n")
        lay_out(home / "landing")
        started = start_up(home, seconds=600)
        try:
            for words in ("user add grace", "user grant grace LeadDataEngineer"):
                made = started.drls(*words.split())
                assert made.returncode == 0, made.stderr
            engine = started.drls("engine", "start")
            assert engine.returncode == 0, engine.stderr
            yield from until_stopped(started)
        finally:
            started.drls("engine", "stop", "--force")


def by_http(up: Up, **options: Any) -> AbstractAsyncContextManager[Client]:
    return over_http(f"{up.url}/mcp", up.token, **options)


def by_stdio(up: Up, **options: Any) -> AbstractAsyncContextManager[Client]:
    server = StdioServerParameters(command=sys.executable, args=["-m", CLI, "mcp"], env=environment_of(up.home))
    return Client(server, **options)


class Agent:
    """Calls tools as a model would, and keeps what its person was asked."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.told: list[str] = []

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, f"{tool}: {text_of(result)}"
        found = result.structured_content
        assert found is not None
        assert len(json.dumps(found)) <= 25_000
        self._tell(tool, arguments, json.dumps(found, ensure_ascii=False))
        return found

    async def refused(self, tool: str, **arguments: Any) -> str:
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, tool
        self._tell(tool, arguments, text_of(result).partition(";")[0])
        return text_of(result)

    def _tell(self, tool: str, arguments: dict[str, Any], answer: str) -> None:
        said = ", ".join(f"{name}={_short(json.dumps(value), 70)}" for name, value in arguments.items())
        self.told.append(f"> {tool}({said})\n{_short(answer, 600)}\n")

    async def run(self, pipeline: str, month: str) -> tuple[str, str]:
        """A run in QA, and how it ended."""
        asked = {"pipeline": pipeline, "environment": "qa", "partition": month, "key": f"{pipeline}-{len(self.told)}"}
        planned = await self("run", **asked)
        assert "run_id" not in planned, "outside of development it only plans first"
        started = await self("run", **asked, dry_run=False)
        while True:
            waited = await self("wait_run", run_id=started["run_id"], seconds=60)
            if waited["status"] not in {"queued", "running"}:
                return started["run_id"], waited["status"]


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


async def story(agent: Agent, name: str) -> dict[str, Any]:
    """Save, run, fail, explain, fix, ask. What later assertions need."""
    good, careless, fixed = (make(EXAMPLE, name) for make in (versions.first, versions.second, versions.third))
    assert (await agent("search", text=name))["found"] == []
    text = dump_yaml(good)
    wrong = await agent("validate", definition=text.replace("overwrite_partitions", "overwrit_partitions"))
    assert not wrong["valid"]
    assert wrong["problems"]

    await save(agent, good, 1)
    await agent("request_promotion", pipeline=name, version=1, to="qa", reason="first", dry_run=False)
    _, status = await agent.run(name, AUGUST)
    assert status == "succeeded"
    counted = await agent("query", sql=f"SELECT count(*) AS days FROM {name}.daily_delays", environment="qa")
    assert counted["rows"] == [[93]], "31 days at three airports"
    schema = await agent.client.read_resource(f"drls://tables/{name}.daily_delays")
    assert "mean_risk" in str(schema.contents[0])

    await save(agent, careless, 2)
    await agent("request_promotion", pipeline=name, version=2, to="qa", reason="wind", dry_run=False)
    failed, status = await agent.run(name, AUGUST)
    assert status == "failed"
    explained = await agent("explain_run", run_id=failed)

    await save(agent, fixed, 3)
    await agent("request_promotion", pipeline=name, version=3, to="qa", reason="missing weather is calm", dry_run=False)
    _, status = await agent.run(name, AUGUST)
    assert status == "succeeded"
    planned = await agent("plan_promotion", pipeline=name, version=3, to="uat")
    assert planned["possible"], planned
    asked = await agent("request_promotion", pipeline=name, version=3, to="uat", reason="wind", dry_run=False)
    for decision in DECISIONS:
        assert f"no tool {decision} here" in await agent.refused(decision, request=asked["request"])
    shown = await agent("get_request", id=asked["request"])
    return {"explained": explained, "request": asked["request"], "shown": shown, "told": agent.told}


async def save(agent: Agent, spec: PipelineSpec, number: int) -> None:
    text = dump_yaml(spec)
    assert (await agent("validate", definition=text))["valid"]
    saved = await agent("save_version", definition=text, message=f"v{number}")
    assert saved["version"] == number


WAYS: dict[str, Way] = {"http": by_http, "stdio": by_stdio}


@pytest.fixture(scope="module")
def played(up: Up) -> dict[str, dict[str, Any]]:
    """The story as two agents play it at the same time, each its own way, on a pipeline of its own."""

    async def play(name: str, way: Way) -> dict[str, Any]:
        asked: list[str] = []
        async with way(up, elicitation_callback=agrees(True, asked)) as client:
            return {**await story(Agent(client), f"flights_{name}"), "asked": asked}

    async def play_all() -> list[dict[str, Any]]:
        async with asyncio.timeout(1500):
            return await asyncio.gather(*(play(name, way) for name, way in WAYS.items()))

    return dict(zip(WAYS, asyncio.run(play_all()), strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_from_a_search_to_a_request_that_only_people_decide(
    up: Up, played: dict[str, dict[str, Any]], way: str
) -> None:
    found = played[way]

    if "TRANSCRIPT" in os.environ:  # of `make pictures`
        Path(os.environ["TRANSCRIPT"]).write_text(f"{HEADING}\n```text\n{chr(10).join(found['told'])}```\n")
    explained = found["explained"]
    assert explained["cause"] == Cause.CHECK.value
    failing = {one["check"] for one in explained["checks"]}
    assert any("mean_risk" in one for one in failing), failing
    assert [one for one in explained["checks"] if one["rows"]], "the rows that failed"
    assert any("wind_speed" in one for one in explained["changed"]), explained["changed"]
    assert explained["last_good"]
    assert found["shown"]["state"] == "requested"
    assert found["asked"], "its person was asked before each change that counts"

    # With the agent's own token, whatever way it takes.
    shown = {"Authorization": f"Bearer {up.token}"}
    made = httpx.post(f"{up.url}/api/me/agent-token", headers=shown, json={"agent": "mcp"}, trust_env=False).json()
    where = f"{up.url}/api/approvals/{found['request']}"
    before = httpx.get(where, headers=shown, trust_env=False).json()["request"]
    for verb, body in DECIDING.items():
        said = {name: before["plan_digest"] if name == "plan_digest" else text for name, text in body.items()}
        of_agent = {"Authorization": f"Bearer {made['token']}"}
        assert httpx.post(f"{where}/{verb}", headers=of_agent, json=said, trust_env=False).status_code == 403
    assert httpx.get(where, headers=shown, trust_env=False).json()["request"] == before
