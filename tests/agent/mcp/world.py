"""Servers as people start them, and clients as people have them: real processes on a home of their own."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from drls_dagster.lifecycle_client.adapters import Adapters
from drls_dagster.lifecycle_client.opening import open_context
from drls_dagster.settings import load_settings
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.roles import Role
from lifecycle.usecases.first_start import LINK_LIFE
from lifecycle.usecases.tokens import issue
from tests.drls_dagster.up.conftest import environment_of
from tests.lifecycle.life import SETUP, Life
from tests.waiting import wait_until

A = TypeVar("A")
CLI = "drls_dagster.cli.main"
SUITE = "tests.agent.mcp.suite_server"
PEOPLE = {"ada": Role.DATA_ENGINEER, "eve": Role.DATA_ENGINEER, "lea": Role.LEAD, "vic": Role.VIEWER}
MODES = ("legacy", "auto")


@dataclass
class World:
    """A home with people in it (tests.lifecycle.life), whose tokens the test shows."""

    home: Path
    life: Life

    def token(self, name: str, *scopes: TokenScope, life: timedelta = LINK_LIFE) -> str:
        """A personal token, for everything unless `scopes` are given."""
        with self.life.store.write(SETUP, "token") as unit:
            person = unit.people.get(self.life.person(name))
            given = scopes or tuple(TokenScope)
            return issue(unit, person, TokenKind.PERSONAL, "test", scopes=given, life=life).secret

    def environment(self, **more: str) -> dict[str, str]:
        return {**environment_of(self.home), "PYTHONUNBUFFERED": "1", **more}


@contextmanager
def world_at(home: Path) -> Iterator[World]:
    """Its store is on disk, so that other processes open it, too."""
    ctx = open_context(load_settings(home), Adapters(), lambda started: None)
    try:
        clock: Any = ctx.clock
        life = Life(ctx.store, home, clock)
        for name, role in PEOPLE.items():
            life.add_person(name, role)
        life.add_person("bot", Role.LEAD, kind="service", acts_for=life.person("ada"))
        yield World(home, life)
    finally:
        ctx.store.close()


@dataclass
class HttpServer:
    """A server over HTTP, and what it has written."""

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)

    def told(self) -> str:
        return "".join(self.lines)


@contextmanager
def http_server(world: World, module: str = CLI, *arguments: str, **environment: str) -> Iterator[HttpServer]:
    """Starts one on a free port. It ends with the block, and must not have written a traceback."""
    options = arguments or ("mcp", "--http", "--port", str(free_port()))
    process = subprocess.Popen(
        [sys.executable, "-m", module, *options], env=world.environment(**environment), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    server = HttpServer(process)
    reading = threading.Thread(target=_read, args=(server,), daemon=True)
    reading.start()
    try:
        wait_until(lambda: server.url or process.poll() is not None, 120)
        assert process.poll() is None, server.told()
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)
        reading.join(10)


def _read(server: HttpServer) -> None:
    assert server.process.stdout is not None
    with server.process.stdout as out:
        for line in iter(out.readline, ""):
            server.lines.append(line)
            if "http" in line and not server.url:
                server.url = "http" + line.strip().partition("http")[2]


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def stdio(world: World, token: str, module: str = CLI, *arguments: str) -> StdioServerParameters:
    """How a client starts a server over stdio."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", module, *(arguments or (("mcp",) if module == CLI else ()))],
        env=world.environment(DRLS_TOKEN=token),
    )


@asynccontextmanager
async def over_http(
    url: str, token: str, mode: str = "auto", *, tls: ssl.SSLContext | bool = True, **options: Any
) -> Any:
    """The official client over HTTP. `tls` says whose certificates it trusts."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=120, trust_env=False, verify=tls) as client,
        Client(streamable_http_client(url, http_client=client), mode=mode, **options) as connected,
    ):
        yield connected


def over_stdio(
    world: World, token: str, module: str = CLI, *arguments: str, mode: str = "auto", **options: Any
) -> AbstractAsyncContextManager[Client]:
    """The official client over stdio."""
    return Client(stdio(world, token, module, *arguments), mode=mode, **options)


def ask(client: AbstractAsyncContextManager[Client], what: Callable[[Client], Awaitable[A]]) -> A:
    """Connects, asks, and disconnects, in at most two minutes."""

    async def run() -> A:
        async with asyncio.timeout(120), client as connected:
            return await what(connected)

    return asyncio.run(run())


def text_of(result: types.CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


def agrees(yes: bool, asked: list[str]) -> Any:
    """A person who answers every question; `asked` gets them."""

    async def answer(_: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"confirm": yes})

    return answer


def names(tools: Sequence[types.Tool]) -> list[str]:
    return [one.name for one in tools]


def environment_without(*variables: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in variables}
