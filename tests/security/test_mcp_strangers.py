"""Finding 21 at the MCP server of `drls up`: who is unknown sends 64 KB at most, whatever they say of its length."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.requests import HTTPConnection
from starlette.types import Message, Scope

from drls_dagster.up.web.behind import Behind
from lifecycle.app.kit.bodies import SMALL
from lifecycle.errors import Unauthorized

KNOWN = "Bearer known"
PIECE = 16 * 1024
SENT = 128 * PIECE  # 2 MB


def look_up(connection: HTTPConnection) -> object:
    if connection.headers.get("authorization") != KNOWN:
        raise Unauthorized("sign in first")
    return connection


@asynccontextmanager
async def behind(place: Path) -> AsyncIterator[tuple[Behind, list[int]]]:
    """The door, and the lengths of the bodies that arrived behind it."""
    arrived: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        said = [line.partition(":")[2] for line in head.splitlines() if line.startswith("content-length:")]
        arrived.append(len(await reader.readexactly(int(said[0]) if said else 0)))
        status = b"200 OK" if KNOWN.lower() in head else b"401 Unauthorized"
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, place):
        door = Behind("The MCP server", place, look_up)
        yield door, arrived
        await door.close()


async def ask(door: Behind, *headers: tuple[bytes, bytes], length: int = SENT) -> tuple[int, int]:
    """The status of the answer, and how many bytes of the body the door has read before it."""
    pieces: Iterator[int] = iter(range(0, length, PIECE))
    read = 0
    answers: list[Message] = []

    async def receive() -> Message:
        nonlocal read
        at = next(pieces, None)
        if at is None or answers:
            await asyncio.Event().wait()
        assert at is not None
        size = min(PIECE, length - at)
        read += size
        return {"type": "http.request", "body": b"x" * size, "more_body": at + size < length}

    async def send(message: Message) -> None:
        answers.append(message)

    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "raw_path": b"/mcp",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 3000),
        "scheme": "http",
    }
    await door(scope, receive, send)
    return int(answers[0]["status"]), read


@pytest.mark.parametrize(
    "said", [(b"content-length", str(SENT).encode()), (b"transfer-encoding", b"chunked")], ids=["length", "chunked"]
)
@pytest.mark.parametrize("shown", [None, b"Bearer forged"])
def test_a_long_body_of_somebody_unknown_is_not_kept(
    tmp_path: Path, said: tuple[bytes, bytes], shown: bytes | None
) -> None:
    """Failed before: the door kept 4 MB of each connection for whoever had sent them."""

    async def attack() -> tuple[tuple[int, int], list[int]]:
        async with behind(tmp_path / "mcp.sock") as (door, arrived):
            token = [(b"authorization", shown)] if shown else []
            return await ask(door, said, *token), arrived

    (status, _), arrived = asyncio.run(attack())
    assert (status, arrived) == (401, [0])  # what still comes is thrown away


def test_a_short_body_is_handed_on_and_one_longer_than_it_says_is_refused(tmp_path: Path) -> None:
    async def attack() -> tuple[tuple[int, int], tuple[int, int], list[int]]:
        async with behind(tmp_path / "mcp.sock") as (door, arrived):
            honest = await ask(door, (b"content-length", b"1000"), length=1000)
            return honest, await ask(door, (b"content-length", b"1000")), arrived

    honest, lying, arrived = asyncio.run(attack())
    assert (honest, arrived) == ((401, 1000), [1000])
    assert lying[0] == 413
    assert lying[1] <= SMALL + PIECE


def test_who_shows_a_good_token_sends_more(tmp_path: Path) -> None:
    async def work() -> tuple[tuple[int, int], list[int]]:
        async with behind(tmp_path / "mcp.sock") as (door, arrived):
            said = (b"content-length", str(SENT).encode())
            return await ask(door, said, (b"authorization", KNOWN.encode())), arrived

    (status, read), arrived = asyncio.run(work())
    assert (status, read, arrived) == (200, SENT, [SENT])
