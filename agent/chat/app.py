"""The chat process over HTTP: the routes of agent.chat.wire, for holders of tokens."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agent.chat import wire
from agent.chat.service import ChatService
from drls_dagster.redact import redact_text
from drls_dagster.serving.asked import body_within, first_fault, shown_token
from lifecycle.errors import DrlsError, Invalid, TooMany, Unauthorized

B = TypeVar("B", bound=BaseModel)
MOST_BYTES = 256 * 1024
_LOG = logging.getLogger(__name__)
_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_BUG = "this is a bug in DRLS; the log of the chat process has the details"


def chat_routes(service: ChatService) -> Starlette:
    """An app of the chats' routes alone."""

    async def models(request: Request) -> Response:
        return _json(await service.models(_token(request)))

    async def chats(request: Request) -> Response:
        asked = request.query_params
        found = await service.chats(
            _token(request),
            search=asked.get("search", "")[:200],
            before=asked.get("before"),
            limit=_number(asked.get("limit"), 50),
            owner=asked.get("owner"),
        )
        return _json(found)

    async def begin(request: Request) -> Response:
        return _json(await service.begin(_token(request), await _body(request, wire.NewChat)), 201)

    async def chat(request: Request) -> Response:
        asked = request.query_params
        before = asked.get("before")
        found = await service.chat(
            _token(request),
            request.path_params["chat"],
            before=None if before is None else _number(before, 1, most=2**31),
            limit=_number(asked.get("limit"), 100),
        )
        return _json(found)

    async def change(request: Request) -> Response:
        given = await _body(request, wire.ChatChange)
        return _json(await service.change(_token(request), request.path_params["chat"], given))

    async def say(request: Request) -> Response:
        token, name = _token(request), request.path_params["chat"]
        begun, after = await service.say(token, name, await _body(request, wire.Message))
        if "text/event-stream" not in request.headers.get("accept", ""):
            return _json(begun, 202)
        return _stream(await service.events(token, name, after=after, until_end=True))

    async def events(request: Request) -> Response:
        last = request.headers.get("last-event-id", "")
        return _stream(await service.events(_token(request), request.path_params["chat"], last=last))

    async def answer(request: Request) -> Response:
        path = request.path_params
        await service.answer(_token(request), path["chat"], path["entry"], await _body(request, wire.Answer))
        return Response(status_code=204)

    async def stop(request: Request) -> Response:
        await service.stop(_token(request), request.path_params["chat"])
        return Response(status_code=204)

    return Starlette(
        routes=[
            _route(wire.MODELS, "GET", models),
            _route(wire.CHATS, "GET", chats),
            _route(wire.CHATS, "POST", begin),
            _route(wire.CHAT, "GET", chat),
            _route(wire.CHAT, "PATCH", change),
            _route(wire.MESSAGES, "POST", say),
            _route(wire.EVENTS, "GET", events),
            _route(wire.ANSWER.replace("{entry}", "{entry:int}"), "POST", answer),
            _route(wire.STOP, "POST", stop),
        ]
    )


def _route(path: str, method: str, answer: Callable[[Request], Awaitable[Response]]) -> Route:
    async def guarded(request: Request) -> Response:
        try:
            return await answer(request)
        except DrlsError as error:
            return _problem(error)
        except Exception as error:  # noqa: BLE001 (the caller gets an answer in any case)
            _LOG.error("%s %s failed: %s", method, path, redact_text(repr(error)))
            return _problem(DrlsError(_BUG))

    return Route(path, guarded, methods=[method])


def _problem(error: DrlsError) -> Response:
    title = error.code.replace("_", " ")
    body = {"title": title, "status": error.status, "code": error.code, "detail": error.message, "errors": []}
    wait = error.retry_after if isinstance(error, TooMany) else None
    headers = {} if wait is None else {"Retry-After": str(wait)}
    return JSONResponse(body, error.status, headers, media_type="application/problem+json")


def _json(answer: BaseModel, status: int = 200) -> Response:
    return Response(answer.model_dump_json(), status, media_type="application/json")


def _stream(events: AsyncIterator[tuple[str, BaseModel] | None]) -> Response:
    async def lines() -> AsyncIterator[str]:
        async for one in events:
            yield ": \n\n" if one is None else wire.frame(*one)

    return StreamingResponse(lines(), headers=_STREAM, media_type="text/event-stream")


def _token(request: Request) -> str:
    if token := shown_token(request):
        return token
    raise Unauthorized("the chat process answers people who show their token")


async def _body(request: Request, model: type[B]) -> B:
    found = await body_within(request, MOST_BYTES)
    if found is None:
        raise TooMany(f"a request has {MOST_BYTES:,} bytes at most")
    try:
        return model.model_validate_json(found or b"{}")
    except ValidationError as error:
        where, what = first_fault(error)
        raise Invalid(f"{where}: {what}" if where else what) from None


def _number(given: str | None, otherwise: int, most: int = wire.MOST_ENTRIES) -> int:
    if given is None:
        return otherwise
    if not given.isdigit() or not 1 <= int(given) <= most:
        raise Invalid(f"{given!r} is not a number from 1 to {most}")
    return int(given)
