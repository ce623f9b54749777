"""What one client may take of a server before it has asked for anything: time, memory and connections.

Uvicorn waits for the headers of a request as long as a client likes. Here they arrive whole within HEADER_SECONDS and
MAX_HEADERS, and somebody who does not read an answer loses it after WRITE_SECONDS. Where connections run out, the one
that waits longest without a request is closed for the new one.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from drls_dagster.serving.forwarded import Network, is_trusted

HEADER_SECONDS = 10.0
WRITE_SECONDS = 30.0
MAX_HEADERS = 64 * 1024
MOST = 1_000
SWEEP_SECONDS = 5.0
_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connections:
    """The connections of a process. One address has half of them at most, unless it is a trusted proxy."""

    def __init__(self, proxies: Sequence[Network] = (), most: int | None = None) -> None:
        # Half of the files that a process may have open stay for everything else.
        self.most = most or min(MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._proxies = proxies
        self._open: dict[_Bounded, None] = {}
        self._of: dict[str, dict[_Bounded, None]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    def add(self, one: _Bounded) -> bool:
        """Makes room for a connection; False if there is no room."""
        own = self._of.get(one.peer, {})
        if len(own) >= self.most // 2 and not is_trusted(one.peer, self._proxies) and not _close_idle(own):
            return False
        if len(self._open) >= self.most and not _close_idle(self._open):
            return False
        self._open[one] = None
        self._of.setdefault(one.peer, {})[one] = None
        if self._sweeping is None:
            self._sweeping = one.loop.call_later(SWEEP_SECONDS, self._sweep, one.loop)
        return True

    def remove(self, one: _Bounded) -> None:
        self._open.pop(one, None)
        own = self._of.get(one.peer, {})
        own.pop(one, None)
        if not own:
            self._of.pop(one.peer, None)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ends those that were closed but whose last bytes nobody reads."""
        for one in list(self._open):
            one.look_at_end()
        self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if self._open else None


def _close_idle(among: dict[_Bounded, None]) -> bool:
    """Closes the oldest connection that waits without a request; False where each has one."""
    for one in among:
        if one.is_idle:
            one.drop()
            return True
    return False


class _Bounded(AutoHTTPProtocol):
    """Uvicorn's protocol with these limits. It knows of both of uvicorn's: with httptools and with h11."""

    registry: Connections
    peer = ""
    _waits: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _got = 0
    _upgraded = False
    _closing_since: float | None = None
    # Uvicorn declares the protocol as asyncio's own, which has none of these.
    loop: asyncio.AbstractEventLoop
    transport: Any
    cycle: Any
    connections: set[Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if isinstance(address, tuple) and address else ""
        if not self.registry.add(self):
            self.transport.abort()
            return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self._upgraded:
            return
        if self.cycle is not before:
            self._got_headers()
        elif self.is_idle and not self.transport.is_closing():
            self._wait_for_headers()
            self._got += len(data)
            if self._got > MAX_HEADERS:
                self._refuse(_LARGE)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def drop(self) -> None:
        """Gives the place to somebody else at once."""
        self._forget()
        self.transport.abort()

    def look_at_end(self) -> None:
        """Ends it where it was closed some time ago and the other side still does not read."""
        if not self.transport.is_closing():
            return
        now = time.monotonic()
        self._closing_since = self._closing_since or now
        if now - self._closing_since > WRITE_SECONDS:
            self.drop()

    def handle_websocket_upgrade(self, *given: Any) -> None:
        # From here on another protocol has the connection, and no request is waited for.
        self._upgraded = True
        self._forget()
        super().handle_websocket_upgrade(*given)  # type: ignore[misc]  # pyright: ignore

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(WRITE_SECONDS, self.drop)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _wait_for_headers(self) -> None:
        if self._waits is None:
            self._got = 0
            self._waits = self.loop.call_later(HEADER_SECONDS, self._refuse, _LATE)

    def _got_headers(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()

    def _forget(self) -> None:
        self._got_headers()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        self.connections.discard(self)
        self.registry.remove(self)


def bounded_protocol(proxies: Sequence[Network] = (), most: int | None = None) -> type[asyncio.Protocol]:
    """The protocol for one process: `uvicorn.Config(http=…)`."""
    return type("Bounded", (_Bounded,), {"registry": Connections(proxies, most)})
