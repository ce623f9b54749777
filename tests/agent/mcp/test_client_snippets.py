"""What docs/how-to/agents.md tells people to put into their clients starts a server that lists its tools."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from agent.tools.registry import tools_for
from agent.tools.tool import Toolset
from lifecycle.domain.credentials import AGENT_SCOPES
from tests.agent.mcp.world import World, ask, http_server, names, over_http, world_at

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "how-to" / "agents.md").read_text()
SITE = "http://127.0.0.1:3000/mcp"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def _servers() -> list[dict[str, Any]]:
    """Every server that a client is told of: as its JSON has it, or its command line."""
    found: list[dict[str, Any]] = []
    for block in _blocks("json"):
        told = json.loads(block)
        found += (told.get("mcpServers") or told["servers"]).values()
    for line in "".join(_blocks("sh")).splitlines():
        words = shlex.split(line)
        if words[:3] != ["claude", "mcp", "add"]:
            continue
        if "--" in words:
            command, *arguments = words[words.index("--") + 1 :]
            found.append({"command": command, "args": arguments})
        else:
            name, _, value = words[words.index("--header") + 1].partition(": ")
            found.append({"url": next(one for one in words if one.startswith("http:")), "headers": {name: value}})
    return found


STDIO = {shlex.join([one["command"], *one["args"]]): one for one in _servers() if "command" in one}
HTTP = [one for one in _servers() if "url" in one]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_at(tmp_path_factory.mktemp("page") / "home") as made:
        yield made


def test_the_page_tells_of_every_client() -> None:
    assert len(_servers()) == 7
    for client in ("Claude Code", "Claude Desktop", "Cursor", "VS Code"):
        assert f"**{client}**" in PAGE


@pytest.mark.slow
@pytest.mark.parametrize("command", STDIO)
def test_a_command_of_the_page_lists_the_tools_it_names(world: World, command: str) -> None:
    given = STDIO[command]
    assert given["command"] == "drls"
    assert set(given.get("env", {})) <= {"DRLS_HOME"}
    drls = shutil.which("drls", path=str(Path(sys.executable).parent))
    assert drls is not None
    environment = world.environment(DRLS_TOKEN=world.token("ada"))
    started = StdioServerParameters(command=drls, args=given["args"], env=environment)

    async def look(client: Client) -> list[str]:
        return names((await client.list_tools()).tools)

    chosen = given["args"][2].split(",") if len(given["args"]) > 1 else []
    wanted = tools_for(AGENT_SCOPES, [Toolset(one) for one in chosen])
    assert ask(Client(started), look) == [one.name for one in wanted]


@pytest.mark.slow
def test_an_address_of_the_page_lists_the_tools(world: World) -> None:
    async def look(client: Client) -> list[str]:
        return names((await client.list_tools()).tools)

    with http_server(world) as server:
        token = world.token("ada")
        for given in HTTP:
            assert given["url"] == SITE
            (header,) = given["headers"].items()
            filled = re.sub(r"\$\{\w+:[\w-]+\}|\$DRLS_AGENT_TOKEN", token, ": ".join(header))
            assert filled == f"Authorization: Bearer {token}"
        assert ask(over_http(server.url, token), look)
