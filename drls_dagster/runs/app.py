"""The run service over HTTP: POST /api/runs/OPERATION with a run token, on a socket or below a web site."""

from __future__ import annotations

import json
import logging
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from drls_dagster.runs.address import PATH
from drls_dagster.runs.operations.table import OPERATIONS
from drls_dagster.runs.problems import MEDIA_TYPE, problem_of
from drls_dagster.runs.service import RunService
from drls_dagster.serving.asked import body_within, first_fault, shown_token
from drls_dagster.traces.place import HEADER, Place, read_place
from lifecycle.domain.environment import Environment
from lifecycle.errors import DrlsError, Invalid, NotFound, TooMany, Unauthorized

MOST_BYTES = 32 * 1024 * 1024
_LOG = logging.getLogger(__name__)


class Envelope(BaseModel):
    """What a run sends: for which of its pipelines it asks, and what the operation takes."""

    model_config = ConfigDict(extra="forbid")

    pipeline: Annotated[str, Field(max_length=200)]
    environment: Environment
    given: dict[str, Any]


def run_routes(service: RunService) -> Starlette:
    """An app of the service's operations alone."""

    async def answer(request: Request) -> Response:
        try:
            text = await _body(request)
            return await run_in_threadpool(
                _answer,
                service,
                _token(request),
                request.path_params["operation"],
                text,
                read_place(request.headers.get(HEADER)),
            )
        except DrlsError as error:
            return Response(json.dumps(problem_of(error)), error.status, media_type=MEDIA_TYPE)

    return Starlette(routes=[Route(f"{PATH}/{{operation}}", answer, methods=["POST"])])


def _answer(service: RunService, token: str, name: str, text: bytes, at: Place | None) -> Response:
    operation = OPERATIONS.get(name)
    if operation is None:
        raise NotFound(f"the run service has no operation {name!r}; are both sides of the same DRLS?")
    try:
        envelope = Envelope.model_validate_json(text)
        asked = operation.takes.model_validate(envelope.given)
    except ValidationError as error:
        where, what = first_fault(error)
        raise Invalid(f"{name}: {where}: {what}") from None
    given = {field: getattr(asked, field) for field in asked.model_fields_set}
    try:
        found = service.answer(token, operation, envelope.pipeline, envelope.environment, given, at=at)
    except DrlsError:
        raise
    except Exception:  # noqa: BLE001 (a run is told something, whatever it is)
        # What is wrong stands in the service's log, not in what a run is told.
        _LOG.exception("operation %s failed", name)
        raise DrlsError(f"the run service failed at {name}; see its log") from None
    return Response(operation.answer.dump_json(found), media_type="application/json")


def _token(request: Request) -> str:
    if token := shown_token(request):
        return token
    raise Unauthorized("the run service answers runs that show their token")


async def _body(request: Request) -> bytes:
    found = await body_within(request, MOST_BYTES)
    if found is None:
        raise TooMany(f"a run sends {MOST_BYTES} bytes at once at most")
    return found
