"""Routes from the table of verbs: each carries what its verb takes, runs it, and answers what it returned."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, cast

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response
from pydantic import StringConstraints, TypeAdapter, ValidationError, create_model

from lifecycle.app.kit.request import context_in
from lifecycle.errors import Invalid
from lifecycle.verbs.carrying import Carried, Place, places
from lifecycle.verbs.table import Row
from lifecycle.verbs.verb import Call, Input

_Tag = Annotated[str | None, StringConstraints(max_length=200, pattern=r"^[ -~]+$")]
_IN_HEAD = (Place.PATH, Place.QUERY, Place.HEADER)
_FILE = "application/vnd.dsse+json"


def router_of(rows: Iterable[Row]) -> APIRouter:
    """The routes of these verbs."""
    router = APIRouter()
    for row in rows:
        router.add_api_route(
            row.path,
            _endpoint(row),
            methods=[row.method],
            status_code=row.status,
            tags=[row.verb.noun],
            name=row.verb.run.__name__,
            description=row.verb.__doc__,
            **_answers(row),
        )
    return router


def _answers(row: Row) -> dict[str, Any]:
    if row.file is not None:
        return {"response_class": Response, "responses": {200: {"content": {_FILE: {}}, "description": "The file"}}}
    if row.pending is None:
        return {"response_model": row.verb.returns}
    later = {"model": row.verb.returns, "description": "Not there yet: ask again after Retry-After seconds"}
    return {"response_model": row.verb.returns, "responses": {202: later}}


async def call_of(request: Request) -> Call:
    """Who was let in."""
    return Call(context_in(request), request.state.actor, request.state.scopes)


async def _raw(request: Request) -> bytes:
    return await request.body()


def _endpoint(row: Row) -> Callable[..., Any]:
    carried = places(row)

    def handle(call: Call, response: Response, body: Any = None, **sent: Any) -> Any:
        given = {name: _read(one, sent[name]) for name, one in carried.items() if name in sent}
        if isinstance(body, Input):
            given |= {name: getattr(body, name) for name in type(body).model_fields}
        elif whole := [name for name, one in carried.items() if one.place is Place.WHOLE]:
            given[whole[0]] = body
        answer = row.verb.run(call, **given)
        return _answer(row, answer, given, response)

    parameters = [
        _parameter("call", Annotated[Call, Depends(call_of)]),
        _parameter("response", Response),
        *(_parameter(name, _sent(one), one.default) for name, one in carried.items() if one.place in _IN_HEAD),
        *_body(row, carried),
    ]
    cast("Any", handle).__signature__ = inspect.Signature(parameters)
    return handle


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _sent(one: Carried) -> Any:
    match one.place:
        case Place.PATH:
            return Annotated[one.annotation, Path()]
        case Place.HEADER:
            return Annotated[_Tag if one.tag else one.annotation, Header(alias=one.name)]
        case _:
            return Annotated[one.annotation, Query(alias=one.name)]


def _body(row: Row, carried: Mapping[str, Carried]) -> list[inspect.Parameter]:
    for one in carried.values():
        if one.place is Place.WHOLE:
            reads = Depends(_raw) if row.verb.input.model_fields[one.name].annotation is bytes else Body()
            return [_parameter("body", Annotated[one.annotation, reads])]
    fields: dict[str, Any] = {
        name: (one.annotation, ... if one.default is inspect.Parameter.empty else one.default)
        for name, one in carried.items()
        if one.place is Place.BODY
    }
    name = f"{row.verb.noun.title()}{row.verb.input.__name__}"
    return [_parameter("body", create_model(name, __base__=Input, **fields))] if fields else []


def _read(one: Carried, value: Any) -> Any:
    if not one.tag or value is None:
        return value
    try:
        return TypeAdapter(one.annotation).validate_python(cast("str", value).strip('"'))
    except ValidationError:
        raise Invalid(f'{one.name} is the ETag of what you looked at, for example "3"') from None


def _answer(row: Row, answer: Any, given: Mapping[str, Any], response: Response) -> Any:
    if row.file is not None:
        headers = {"Content-Disposition": f'attachment; filename="{row.file.format(**given)}"'}
        return Response(answer, media_type=_FILE, headers=headers)
    if row.etag is not None:
        tag = answer
        for part in row.etag.split("."):
            tag = getattr(tag, part)
        response.headers["ETag"] = f'"{tag}"'
    if row.pending is not None and getattr(answer, row.pending) is not None:
        response.status_code = 202
        response.headers["Retry-After"] = "1"
    return answer
