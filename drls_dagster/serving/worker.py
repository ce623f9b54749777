"""A worker: one server process that answers the connections which its parent hands to it."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from drls_dagster.serving.connections import bounded_protocol
from drls_dagster.serving.forwarded import Network
from drls_dagster.serving.supervisor import READY

# Requests are short: one that is being answered must not keep the others waiting for 5 ms at each step.
SWITCH_SECONDS = 0.0005
SHUTDOWN_SECONDS = 3


def serve_connections(app: ASGIApp, channel: socket.socket, proxies: Sequence[Network] = ()) -> None:
    """Answers what comes over `channel`, until SIGTERM or until the parent is gone."""
    sys.setswitchinterval(SWITCH_SECONDS)
    config = uvicorn.Config(
        app,
        http=bounded_protocol(proxies),
        log_config=None,
        log_level="warning",
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    _Server(config, channel).run()


class _Server(uvicorn.Server):
    """Uvicorn without a socket to listen on."""

    def __init__(self, config: uvicorn.Config, channel: socket.socket) -> None:
        super().__init__(config)
        self._channel = channel
        self._channel.setblocking(False)
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        asyncio.get_running_loop().add_reader(self._channel, self._take)
        self._channel.send(READY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().remove_reader(self._channel)
        await super().shutdown(sockets=[])

    def _take(self) -> None:
        try:
            said, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
        except BlockingIOError:
            return
        except OSError:
            said, descriptors = b"", []
        for descriptor in descriptors:
            task = asyncio.get_running_loop().create_task(self._answer(socket.socket(fileno=descriptor)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if not said:
            asyncio.get_running_loop().remove_reader(self._channel)
            self.should_exit = True

    async def _answer(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        except OSError:
            # Whoever connected has gone already.
            connection.close()

    def _protocol(self) -> asyncio.Protocol:
        # Uvicorn's own loop also calls it this way; the protocol's declared type knows nothing of these.
        make = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
