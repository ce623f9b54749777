"""How many connections a process takes, and whose goes for a new one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from websockets.sync.client import connect

from drls_dagster.serving.connections import bounded_protocol
from drls_dagster.serving.forwarded import networks
from tests.waiting import wait_until

PATIENCE = 60.0
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Counted:
    """A server with room for `most` connections; its answers begin at once and end when `go` is set."""

    def __init__(self, most: int, proxies: Sequence[str]) -> None:
        self.begun = 0
        self.go = threading.Event()
        protocol = bounded_protocol(networks(proxies), most)
        self.config = uvicorn.Config(
            self.app,
            interface="asgi3",
            http=protocol,
            ws="none",
            lifespan="off",
            log_level="critical",
            timeout_graceful_shutdown=1,
        )
        self.port = 0

    async def app(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        self.begun += 1
        await asyncio.to_thread(self.go.wait, PATIENCE)
        await send({"type": "http.response.body", "body": b"ok"})

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def ask(self) -> socket.socket:
        """A connection whose request is being answered."""
        before, made = self.begun, self.connect()
        made.sendall(REQUEST)
        wait_until(lambda: self.begun > before, PATIENCE)
        return made


@contextlib.contextmanager
def serving(most: int, proxies: Sequence[str] = ()) -> Iterator[Counted]:
    counted = Counted(most, proxies)
    server = uvicorn.Server(counted.config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        counted.port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started or not thread.is_alive(), PATIENCE)
            yield counted
        finally:
            counted.go.set()
            server.should_exit = True
            thread.join(PATIENCE)


def is_cut_off(connection: socket.socket) -> bool:
    """Whether the server has closed it; waits for that, or for an answer."""
    connection.settimeout(PATIENCE)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def answer(connection: socket.socket) -> bytes:
    connection.settimeout(PATIENCE)
    said = b""
    while not said.endswith(b"ok"):
        part = connection.recv(1024)
        assert part, said
        said += part
    return said


def test_one_address_has_half_of_the_connections_at_most() -> None:
    with serving(4) as counted, contextlib.ExitStack() as stack:
        busy = [stack.enter_context(counted.ask()) for _ in range(2)]
        third = stack.enter_context(counted.connect())
        assert is_cut_off(third)
        counted.go.set()
        assert [answer(one)[:15] for one in busy] == [b"HTTP/1.1 200 OK"] * 2


@pytest.mark.parametrize("proxies", [["127.0.0.1"], ["127.0.0.0/8"]])
def test_a_trusted_proxy_has_all_of_them_and_no_more(proxies: list[str]) -> None:
    with serving(4, proxies) as counted, contextlib.ExitStack() as stack:
        busy = [stack.enter_context(counted.ask()) for _ in range(4)]
        fifth = stack.enter_context(counted.connect())
        assert is_cut_off(fifth)
        counted.go.set()
        assert [answer(one)[:15] for one in busy] == [b"HTTP/1.1 200 OK"] * 4


def test_the_oldest_connection_without_a_request_goes_for_a_new_one() -> None:
    with serving(4) as counted, contextlib.ExitStack() as stack:
        busy = stack.enter_context(counted.ask())
        idle = stack.enter_context(counted.connect())
        new = stack.enter_context(counted.ask())
        assert is_cut_off(idle)
        counted.go.set()
        assert answer(busy)
        assert answer(new)


def test_a_connection_that_ended_makes_room() -> None:
    with serving(4) as counted, contextlib.ExitStack() as stack:
        counted.go.set()
        for _ in range(8):
            with counted.connect() as one:
                one.sendall(REQUEST)
                assert answer(one)
        counted.go.clear()
        assert all(stack.enter_context(counted.ask()) for _ in range(2))


def test_a_websocket_outlives_the_time_for_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drls_dagster.serving.connections.HEADER_SECONDS", 0.2)

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

    config = uvicorn.Config(
        echo, interface="asgi3", http=bounded_protocol(), ws="websockets-sansio", lifespan="off", log_level="critical"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started, PATIENCE)
            with connect(f"ws://127.0.0.1:{listening.getsockname()[1]}", proxy=None, open_timeout=PATIENCE) as opened:
                with pytest.raises(TimeoutError):
                    opened.recv(timeout=1)  # five times as long as headers may take
                opened.send("still here")
                assert opened.recv(timeout=PATIENCE) == "still here"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
