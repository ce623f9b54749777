"""The MCP server of `drls up`, behind the door of its site."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import httpx2
import mcp_types as types
import psutil
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.drls_dagster.up.conftest import Up
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def _ask(up: Up, mode: str) -> tuple[list[str], types.CallToolResult]:
    async def run() -> tuple[list[str], types.CallToolResult]:
        headers = {"Authorization": f"Bearer {up.token}"}
        async with (
            asyncio.timeout(60),
            httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http,
            Client(streamable_http_client(f"{up.url}/mcp", http_client=http), mode=mode) as client,
        ):
            listed = [one.name for one in (await client.list_tools()).tools]
            return listed, await client.call_tool("search", {"kind": "pipeline"})

    return asyncio.run(run())


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_a_client_finds_the_tools_at_the_site(up: Up, mode: str) -> None:
    assert up.has_said("mcp is ready")
    listed, called = _ask(up, mode)
    assert "search" in listed
    assert not called.is_error


def test_who_has_no_token_reads_where_to_send_one(up: Up) -> None:
    refused = httpx.post(f"{up.url}/mcp", json={}, trust_env=False)
    where = f"{up.url}/.well-known/oauth-protected-resource/mcp"
    assert refused.status_code == 401
    assert f'resource_metadata="{where}"' in refused.headers["www-authenticate"]
    assert httpx.get(where, trust_env=False).json()["resource"] == f"{up.url}/mcp"


def test_the_door_keeps_its_own_rules(up: Up) -> None:
    shown = {"Authorization": f"Bearer {up.token}"}
    assert httpx.post(f"{up.url}/mcp", headers={**shown, "Host": "evil.example"}, trust_env=False).status_code == 421
    foreign = {**shown, "Origin": "http://evil.example"}
    assert httpx.post(f"{up.url}/mcp", headers=foreign, json={}, trust_env=False).status_code == 403
    long = httpx.post(f"{up.url}/mcp", headers=shown, content=b"x" * 5_000_000, trust_env=False)
    assert long.status_code == 413
    # A browser's session is nothing here: only a token counts.
    assert httpx.post(f"{up.url}/mcp", headers={"Cookie": "drls_session=x"}, trust_env=False).status_code == 401


def test_nobody_else_of_this_machine_reaches_its_socket(up: Up) -> None:
    place = up.home / "up" / "mcp.sock"
    assert place.stat().st_mode & 0o077 == 0
    assert not Path(str(place)).is_file()


def test_a_killed_server_is_started_again(up: Up) -> None:
    (process,) = [one for one in psutil.process_iter(["cmdline", "environ"]) if _is_mcp_of(one, up)]
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: up.has_said("restarting mcp"), 60)
    listed, _ = _ask(up, "auto")
    assert "search" in listed


def _is_mcp_of(process: psutil.Process, up: Up) -> bool:
    ours = (process.info["environ"] or {}).get("DRLS_UP_ID") == up.up_id
    return ours and "agent.mcp.serve" in (process.info["cmdline"] or ())
