"""Whoever waits for a tool at the other end of MCP: hears of progress, is asked, and may go away."""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from threading import Lock
from typing import Any

import anyio.from_thread
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from drls_dagster.errors import DrlsError

CONFIRM_SECONDS = 600.0
_KEY = "confirm"
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {_KEY: {"type": "boolean", "title": "Go ahead", "description": "Yes: do it. No: change nothing."}},
    "required": [_KEY],
}


class AskFirst(BaseException):
    """The tool ends here; the client asks its person and calls again (MCP from 2026-07-28 on)."""

    def __init__(self, asked: types.InputRequiredResult) -> None:
        super().__init__("a person is asked first")
        self.asked = asked


class Used:
    """Answers that have done their work: none counts twice."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._line = Lock()

    def use(self, number: str) -> bool:
        """Whether this is the first time."""
        with self._line:
            if number in self._seen:
                return False
            self._seen[number] = None
            if len(self._seen) > self._most:
                self._seen.popitem(last=False)
            return True


class McpClient:
    """The client of one call. Its methods are called in the tool's thread."""

    def __init__(self, ctx: ServerRequestContext[Any, Any], params: types.CallToolRequestParams, used: Used) -> None:
        self._ctx = ctx
        self._gone = False
        self._modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        self._answers = _answers(params, used)

    @property
    def can_confirm(self) -> bool:
        has = self._ctx.session.client_capabilities
        asks = has.elicitation if has is not None else None
        # `elicitation: {}` means forms; a client that only opens addresses says so.
        if asks is None or (asks.form is None and asks.url is not None):
            return False
        return self._modern or self._ctx.session.can_send_request

    @property
    def cancelled(self) -> bool:
        return self._gone

    def leave(self) -> None:
        """Nobody waits any longer."""
        self._gone = True

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        if not self._gone:
            anyio.from_thread.run(self._ctx.session.report_progress, done, total, message or None)

    def confirm(self, question: str) -> bool:
        if self._gone:
            return False
        if self._modern:
            if question in self._answers:
                return self._answers[question]
            raise AskFirst(_ask(question, self._answers))
        return anyio.from_thread.run(self._elicit, question)

    async def _elicit(self, question: str) -> bool:
        try:
            answer = await self._ctx.session.send_request(
                _request(question),
                types.ElicitResult,
                request_read_timeout_seconds=CONFIRM_SECONDS,
                metadata=ServerMessageMetadata(related_request_id=self._ctx.request_id),
            )
        except MCPError as error:
            raise DrlsError(f"nobody answered the question ({error.message}); nothing was changed") from None
        return _agreed(answer)


def _agreed(answer: Any) -> bool:
    return (
        isinstance(answer, types.ElicitResult)
        and answer.action == "accept"
        and (answer.content or {}).get(_KEY) is True
    )


def _ask(question: str, answers: dict[str, bool]) -> types.InputRequiredResult:
    state = {"question": question, "answers": answers, "number": secrets.token_hex(8)}
    return types.InputRequiredResult(input_requests={_KEY: _request(question)}, request_state=json.dumps(state))


def _request(question: str) -> types.ElicitRequest:
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=question, requested_schema=_SCHEMA))


def _answers(params: types.CallToolRequestParams, used: Used) -> dict[str, bool]:
    """What the person said so far, by question; the state was sealed by this server for this very call."""
    if params.request_state is None:
        return {}
    state = json.loads(params.request_state)
    if not used.use(state["number"]):
        return {}
    return {**state["answers"], state["question"]: _agreed((params.input_responses or {}).get(_KEY))}
