"""The Ray runner's door: who says nothing, or the wrong thing, keeps nobody else waiting."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener

import pytest

from drls_dagster.engine.door import MOST_STRANGERS, Door

TOKEN = secrets.token_bytes(32)


@contextmanager
def open_door(seconds: float = 60, inside: Callable[[Connection], None] | None = None) -> Iterator[int]:
    """A door with an echo behind it; its port."""

    def echo(connection: Connection) -> None:
        with connection:
            connection.send_bytes(connection.recv_bytes())

    closed = threading.Event()
    with Listener(("127.0.0.1", 0), backlog=64) as listener:
        port = int(listener.address[1])
        keeper = threading.Thread(target=Door(TOKEN, inside or echo, seconds).keep, args=(listener, closed))
        keeper.start()
        yield port
        closed.set()
        socket.create_connection(("127.0.0.1", port)).close()
        keeper.join(30)
        assert not keeper.is_alive()


def ask(port: int, token: bytes = TOKEN) -> bytes:
    with Client(("127.0.0.1", port), authkey=token) as connection:
        connection.send_bytes(b"work")
        return connection.recv_bytes()


def wait_for_the_end(of: socket.socket) -> None:
    """Reads until the other side hangs up; TimeoutError when it does not."""
    with suppress(ConnectionResetError):
        while of.recv(1024):
            pass


def ask_in_time(port: int) -> bytes:
    """The answer, or TimeoutError."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(ask, port).result(30)
    finally:
        pool.shutdown(wait=False)


def test_one_silent_client_does_not_block_the_others() -> None:
    """Finding 20; failed on 0.1.0, whose listener shook hands with one after the other, without end."""
    with open_door() as port, socket.create_connection(("127.0.0.1", port)):
        assert ask_in_time(port) == b"work"


def test_one_who_says_nothing_or_not_enough_is_sent_away() -> None:
    with open_door(seconds=0.5) as port:
        for said in (b"", b"\x00\x00"):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as silent:
                silent.sendall(said)
                wait_for_the_end(silent)  # the challenge, then the end
        assert ask(port) == b"work"


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x05hello", b"\xff" * 64])
def test_one_who_says_the_wrong_thing_is_refused(said: bytes) -> None:
    with open_door() as port:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as stranger:
            stranger.sendall(said)
            with suppress(OSError):  # the door may have hung up already, which is its refusal
                stranger.shutdown(socket.SHUT_WR)
            wait_for_the_end(stranger)
        with pytest.raises((AuthenticationError, EOFError, OSError)):
            ask(port, secrets.token_bytes(32))
        assert ask(port) == b"work"


def test_more_silent_clients_than_there_is_room_for_make_room() -> None:
    with open_door() as port, ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            for _ in range(MOST_STRANGERS + 8)
        ]
        assert ask_in_time(port) == b"work"
        wait_for_the_end(silent[0])  # the first who came had to go


def test_work_inside_takes_as_long_as_it_takes() -> None:
    """The patience is for the handshake alone."""
    go = threading.Event()

    def slow(connection: Connection) -> None:
        with connection:
            connection.recv_bytes()
            go.wait(30)
            connection.send_bytes(b"done")

    with open_door(seconds=0.2, inside=slow) as port, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, port)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as later:
            wait_for_the_end(later)  # by now the patience with the first is over as well
        go.set()
        assert answer.result(30) == b"done"
