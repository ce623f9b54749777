"""An MCP server whose store is behind another machine's `drls serve` (DRLS_URL)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mcp_types as types
import pytest
from mcp import Client

from tests.agent.mcp.world import CLI, World, ask, free_port, http_server, over_http, over_stdio, text_of, world_at

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_at(tmp_path_factory.mktemp("there") / "home") as made:
        made.life.save(by="ada")
        yield made


def test_tools_ask_the_server_and_its_audit_log_knows_the_way(world: World, tmp_path: Path) -> None:
    async def call(client: Client) -> types.CallToolResult:
        return await client.call_tool("search", {"kind": "pipeline"})

    port = str(free_port())
    with http_server(world, CLI, "serve", "--port", port, "--workers", "1") as site:
        away = {"DRLS_URL": site.url, "DRLS_HOME": str(tmp_path / "away")}
        ada = world.token("ada")
        near = over_stdio(world, ada)
        near.server.env.update(away)  # type: ignore[union-attr]  # pyright: ignore
        assert "flights" in text_of(ask(near, call))
        with http_server(world, **away) as server:
            assert "flights" in text_of(ask(over_http(server.url, ada), call))
            wrong = ask(over_http(server.url, world.token(world.life.add_person("nobody", None).name)), call)
            assert wrong.is_error
        assert not (tmp_path / "away" / "lifecycle.db").exists()
