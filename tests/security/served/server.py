"""The app on a real socket, as `drls serve` puts it there, in this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import uvicorn

from drls_dagster.serving.connections import bounded_protocol
from drls_dagster.serving.forwarded import Forwarded, Kind, networks
from drls_dagster.serving.hosts import KnownHosts
from tests.lifecycle.app.sites import site_of
from tests.lifecycle.life import Life

PASSWORD = "a long enough password"
PATIENCE = 60.0


@dataclass
class Web:
    """A server, and who uses it."""

    life: Life
    url: str
    port: int
    server: uvicorn.Server

    def client(self, **options: object) -> httpx.Client:
        """A browser or program with cookies of its own."""
        return httpx.Client(base_url=self.url, timeout=PATIENCE, **options)  # type: ignore[arg-type]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    @property
    def open_connections(self) -> int:
        return len(self.server.server_state.connections)


@contextmanager
def served(
    life: Life,
    *,
    proxies: Sequence[str] = (),
    kind: Kind = "x-forwarded",
    hosts: Sequence[str] = (),
    most: int | None = None,
) -> Generator[Web]:
    """Ends with the block."""
    trusted = networks(proxies)
    app = Forwarded(KnownHosts(site_of(life.ctx), hosts), trusted, kind)
    config = uvicorn.Config(
        app, http=bounded_protocol(trusted, most), ws="none", lifespan="off", log_level="warning", proxy_headers=False,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2048))
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        port = listening.getsockname()[1]
        web = Web(life, f"http://127.0.0.1:{port}", port, server)
        try:
            wait_for(lambda: server.started or not thread.is_alive())
            yield web
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


def wait_for(true: Callable[[], bool]) -> None:
    """Waits, with a bound."""
    gave_up = threading.Event()
    timer = threading.Timer(PATIENCE, gave_up.set)
    timer.daemon = True
    timer.start()
    try:
        while not true():
            assert not gave_up.wait(0.02), "it did not happen in time"
    finally:
        timer.cancel()
