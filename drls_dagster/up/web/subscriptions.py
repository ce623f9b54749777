"""A WebSocket of Dagster's UI: subscriptions alone, for as long as its visitor may see them."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Message, Receive, Send

from drls_dagster.up.web.operations import Sent, Unreadable, sent_of
from drls_dagster.up.web.visitor import Visitor

LOOK_AGAIN_SECONDS = 15.0
_KINDS = frozenset({"connection_init", "connection_terminate", "start", "stop"})
_CLOSED: Message = {"type": "websocket.disconnect", "code": 1008}


class Subscriptions:
    """Both ways of a connection. Dagster gets what was read here, not what was sent.

    `look_up` gives the visitor as they are by now and raises for one who may not stay; `may` raises for what they may
    not subscribe to.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        look_up: Callable[[], Awaitable[Visitor]],
        may: Callable[[Visitor, Sent], Awaitable[None]],
    ) -> None:
        self._receive, self._send = receive, send
        self._look_up, self._may = look_up, may
        self._looked = time.monotonic()
        self._closed = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return message
        try:
            return {"type": "websocket.receive", "text": json.dumps(await self._checked(message))}
        except Exception:  # noqa: BLE001 (whatever is wrong with it, nothing of it reaches Dagster)
            await self._close("only subscriptions")
            return _CLOSED

    async def send(self, message: Message) -> None:
        if self._closed:
            return
        if message["type"] == "websocket.send" and time.monotonic() - self._looked > LOOK_AGAIN_SECONDS:
            try:
                await self._look_up()
            except Exception:  # noqa: BLE001 (signed out, disabled, or the store is down: no more of this)
                await self._close("sign in again")
                return
            self._looked = time.monotonic()
        await self._send(message)

    async def _checked(self, message: Message) -> dict[str, Any]:
        sent = json.loads(message.get("text") or message.get("bytes") or b"")
        if not isinstance(sent, dict) or sent.get("type") not in _KINDS:
            raise Unreadable("this is not a valid protocol message")
        read: dict[str, Any] = {"type": sent["type"], "id": sent.get("id")}
        if sent["type"] == "start":
            found = sent_of(sent.get("payload"), "operationName")
            await self._may(await self._look_up(), found)
            read["payload"] = {
                "query": found.query,
                "variables": found.variables,
                "operation_name": found.operation_name,
            }
        return read

    async def _close(self, reason: str) -> None:
        self._closed = True
        await self._send({"type": "websocket.close", "code": 1008, "reason": reason})
