"""The server over stdin and stdout, as desktop clients start it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp import Client

from agent.cli.mcp import mcp as command
from tests.agent.mcp.world import (
    CLI,
    SUITE,
    World,
    agrees,
    ask,
    names,
    over_stdio,
    text_of,
    world_at,
)
from tests.waiting import wait_until

# What an agent's server must never load: each takes seconds, or brings a model's library next to data.
HEAVY = ("litellm", "dagster", "pyspark", "ray", "pandas")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_at(tmp_path_factory.mktemp("stdio") / "home") as made:
        made.life.save(by="ada")
        yield made


@pytest.mark.parametrize("mode", ["auto", pytest.param("legacy", marks=pytest.mark.slow)])
def test_a_client_calls_asks_and_cancels(world: World, mode: str) -> None:
    asked: list[str] = []

    async def use(client: Client) -> None:
        assert "test_elicitation" in names((await client.list_tools()).tools)
        heard: list[float] = []

        async def note(done: float, total: float | None, message: str | None) -> None:
            heard.append(done)

        await client.call_tool("test_tool_with_progress", {}, progress_callback=note)
        assert sorted(heard) == [0, 50, 100]
        # What a library prints goes nowhere near the messages.
        assert "printed" in text_of(await client.call_tool("print_something", {}))
        assert "confirmed" in text_of(await client.call_tool("test_elicitation", {"message": "Sure?"}))
        assert asked == ["Sure?"]

    ask(over_stdio(world, world.token("ada"), SUITE, mode=mode, elicitation_callback=agrees(True, asked)), use)


@pytest.mark.slow
def test_toolsets_are_chosen_at_the_start(world: World) -> None:
    async def look(client: Client) -> list[str]:
        return names((await client.list_tools()).tools)

    found = ask(over_stdio(world, world.token("ada"), CLI, "mcp", "--toolsets", "read"), look)
    assert "search" in found

    async def fail(client: Client) -> types.CallToolResult:
        return await client.call_tool("search", {"kind": "pipeline"})

    wrong = ask(over_stdio(world, world.token("ada"), CLI, "mcp", "--toolsets", "no"), fail)
    assert wrong.is_error
    assert "there is no toolset 'no'; the toolsets are: read" in text_of(wrong)


def test_without_a_token_each_call_says_how_to_sign_in(world: World) -> None:
    async def call(client: Client) -> types.CallToolResult:
        return await client.call_tool("search", {"kind": "pipeline"})

    answer = ask(over_stdio(world, "drls_wrong"), call)
    assert answer.is_error
    assert "sign in again" in text_of(answer)


def test_initialize_is_answered_before_the_tools_are_loaded(world: World, tmp_path: Path) -> None:
    """And stdout has nothing but messages, whatever else the process has to say."""
    notes = tmp_path / "imports"
    with _server(world, "-X", "importtime", notes=notes) as server:
        answer = _ask(server, "initialize", _HELLO)
        assert answer["result"]["serverInfo"]["name"] == "drls"
    loaded = _imported(notes)
    assert "mcp" in loaded
    assert not loaded & {*HEAVY, "sqlalchemy", "pyiceberg", "sqlglot", "yaml"}


def test_no_tool_loads_what_models_or_runs_need(world: World, tmp_path: Path) -> None:
    notes = tmp_path / "imports"
    with _server(world, "-X", "importtime", notes=notes) as server:
        _ask(server, "initialize", _HELLO)
        _say(server, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert _ask(server, "tools/list", {})["result"]["tools"]
        called = _ask(server, "tools/call", {"name": "search", "arguments": {"kind": "pipeline"}})
        assert [one["name"] for one in called["result"]["structuredContent"]["found"]] == ["flights"]
    assert not _imported(notes) & set(HEAVY)


@pytest.mark.slow
def test_a_server_that_was_killed_is_started_again_and_answers(world: World, tmp_path: Path) -> None:
    file = tmp_path / "state"
    with _server(world, module=SUITE, arguments=()) as server:
        _ask(server, "initialize", _HELLO)
        _say(server, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        call = {"name": "wait_until_cancelled", "arguments": {"message": str(file)}}
        _say(server, {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call})
        wait_until(lambda: file.exists() and file.read_text())
        server.kill()
        rest, _ = server.communicate(timeout=30)
    assert '"id":7' not in rest
    assert file.read_text() == "begun"

    async def again(client: Client) -> str:
        return text_of(await client.call_tool("test_simple_text", {}))

    assert "simple text" in ask(over_stdio(world, world.token("ada"), SUITE), again)


@pytest.mark.slow
def test_what_a_killed_server_had_done_is_not_done_again(world: World, tmp_path: Path) -> None:
    """kill -9 after the change and before its answer: the client asks again with the same key."""
    file = tmp_path / "state"
    given = {"key": "freeze-1", "file": str(file)}
    lea = world.token("lea")
    with _server(world, module=SUITE, arguments=(), token=lea) as server:
        _ask(server, "initialize", _HELLO)
        _say(server, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        call = {"name": "freeze_slowly", "arguments": given}
        _say(server, {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call})
        wait_until(file.exists)
        server.kill()

    async def again(client: Client) -> str:
        return text_of(await client.call_tool("freeze_slowly", given))

    told = ask(over_stdio(world, lea, SUITE), again)
    with world.life.store.read() as view:
        (hold,) = view.policies.holds()
        (entry,) = view.log.search(subject=None, verb="freeze.set", before=None, limit=50)
    assert f"hold {hold.id}" in told
    assert (entry.actor["acts_for"], entry.actor["way_in"]) == ("lea", "mcp")


def test_the_end_of_stdin_ends_the_server_and_its_calls(world: World, tmp_path: Path) -> None:
    file = tmp_path / "state"
    with _server(world, module=SUITE, arguments=()) as server:
        _ask(server, "initialize", _HELLO)
        _say(server, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        call = {"name": "wait_until_cancelled", "arguments": {"message": str(file)}}
        _say(server, {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call})
        wait_until(file.exists)
        assert server.stdin is not None
        server.stdin.close()
        server.wait(30)
    assert file.read_text() == "cancelled"


@pytest.mark.slow
def test_no_code_location_loads_what_models_need(world: World) -> None:
    code = "import sys, drls_dagster.definitions as all_of_them; all_of_them.development; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=world.environment(), capture_output=True, text=True, check=True
    )
    loaded = {one.partition(".")[0] for one in done.stdout.split()}
    assert "dagster" in loaded
    assert not loaded & {"litellm", "openai", "mcp", "agent"}


def test_help_lists_what_there_is_to_choose() -> None:
    options = {option for one in command.params for option in one.opts}
    assert {"--toolsets", "--http", "--host", "--port", "--certificate", "--key"} <= options


_HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


class _Server(subprocess.Popen[str]):
    """Closes its pipes with the block, and ends."""

    def __exit__(self, *given: Any) -> None:
        if self.poll() is None:
            self.kill()
        super().__exit__(*given)


@contextmanager
def _server(
    world: World,
    *python: str,
    module: str = CLI,
    arguments: tuple[str, ...] = ("mcp",),
    notes: Path | None = None,
    token: str = "",
) -> Iterator[_Server]:
    """One that the test talks to by hand; `notes` gets its stderr."""
    command = [sys.executable, *python, "-m", module, *arguments]
    with (
        open(notes or os.devnull, "w") as errors,
        _Server(
            command, env=world.environment(DRLS_TOKEN=token or world.token("ada")),
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        ) as server,
    ):  # fmt: skip
        yield server


def _say(server: _Server, message: dict[str, Any]) -> None:
    assert server.stdin is not None
    server.stdin.write(json.dumps(message) + "\n")
    server.stdin.flush()


def _ask(server: _Server, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The answer. Each line of stdout is a message."""
    _say(server, {"jsonrpc": "2.0", "id": method, "method": method, "params": params})
    assert server.stdout is not None
    for line in iter(server.stdout.readline, ""):
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        if message.get("id") == method:
            return message
    raise AssertionError("the server ended")


def _imported(notes: Path) -> set[str]:
    """Top-level modules that `python -X importtime` told of."""
    found = re.findall(r"^import time:.*\|\s+([\w.]+)$", notes.read_text(), re.MULTILINE)
    return {one.partition(".")[0] for one in found}
