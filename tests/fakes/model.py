"""A model provider over HTTP that speaks OpenAI's chat completions, streamed, and plays what a test scripts.

A move is what it answers to one request: words and tool calls, an error, or nothing until it is let go. A function
makes a move of the request: so a test can script a model that does whatever it reads.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

KEY = "the-models-own-key-1f9c"


@dataclass(frozen=True)
class Says:
    """Text, then calls of tools: (name, arguments), arguments also as the text that a model sent. `breaks` after it."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, Any] | str], ...] = ()
    tokens: tuple[int, int] | None = (100, 10)
    breaks: bool = False


@dataclass(frozen=True)
class Fails:
    """An HTTP error; `message` is the provider's."""

    status: int
    message: str = "the provider says no"
    code: str | None = None
    retry_after: int | None = None


@dataclass(frozen=True)
class Hangs:
    """The first words, and then nothing until `go` is set; `left` is set when the reader has gone."""

    text: str = "One moment "
    go: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)


Move = Says | Fails | Hangs
Script = Move | Callable[[dict[str, Any]], Move]


class FakeModel:
    """`script` is played in order, then `otherwise` for ever; `requests` are the bodies that came, `keys` their keys."""

    def __init__(self, url: str = "") -> None:
        self.url = url
        self.reset()

    def reset(self) -> None:
        self.script: deque[Script] = deque()
        self.otherwise: Script = Says("Done.")
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []

    def play(self, *moves: Script) -> None:
        self.script.extend(moves)

    def app(self) -> FastAPI:
        app = FastAPI()
        app.post("/v1/chat/completions")(self._complete)
        return app

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body)
        self.keys.append(request.headers.get("authorization", "").removeprefix("Bearer "))
        given = self.script.popleft() if self.script else self.otherwise
        move = given if isinstance(given, Says | Fails | Hangs) else given(body)
        if isinstance(move, Fails):
            headers = {} if move.retry_after is None else {"Retry-After": str(move.retry_after)}
            error = {"message": move.message, "type": "error", "param": None, "code": move.code}
            return JSONResponse({"error": error}, move.status, headers)
        return StreamingResponse(_stream(move, body["model"], request), media_type="text/event-stream")


async def _stream(move: Says | Hangs, model: str, request: Request) -> AsyncIterator[str]:
    yield _chunk(model, {"role": "assistant", "content": ""})
    for word in move.text.split(" ") if move.text else []:
        yield _chunk(model, {"content": f"{word} "})
    if isinstance(move, Hangs):
        move.began.set()
        try:
            while not move.go.is_set() and not await request.is_disconnected():
                await asyncio.sleep(0.01)
        finally:
            move.left.set()
        yield _chunk(model, {}, "stop")
    else:
        for number, (name, arguments) in enumerate(move.calls):
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            function = {"name": name, "arguments": ""}
            head = {"index": number, "id": f"call_{len(text)}_{number}", "type": "function", "function": function}
            yield _chunk(model, {"tool_calls": [head]})
            for half in (text[: len(text) // 2], text[len(text) // 2 :]):
                yield _chunk(model, {"tool_calls": [{"index": number, "function": {"arguments": half}}]})
        if move.breaks:
            raise ConnectionResetError("the provider's connection broke")
        yield _chunk(model, {}, "tool_calls" if move.calls else "stop")
        if move.tokens is not None:
            read, written = move.tokens
            usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
            yield _chunk(model, None, None, usage)
    yield "data: [DONE]\n\n"


def _chunk(
    model: str, delta: dict[str, Any] | None, end: str | None = None, usage: dict[str, int] | None = None
) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": end}]
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices}
    return f"data: {json.dumps({**whole, **({'usage': usage} if usage else {})})}\n\n"


@contextmanager
def serve_model() -> Iterator[FakeModel]:
    """The provider on a port of this machine, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fake = FakeModel(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        config = uvicorn.Config(fake.app(), log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield fake
        server.should_exit = True
        thread.join(10)
