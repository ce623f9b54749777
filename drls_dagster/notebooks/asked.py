"""What notebooks ask the platform for, over HTTP with their token: which development tables there are, their rows, and
what a notebook's cells would be as a pipeline.

A notebook has neither store nor catalog nor keys. Each question is answered with the living rights of its person, and
there is no question that changes anything or that is about another environment than development.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from pydantic import AwareDatetime, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog
from drls_dagster.lakehouse.catalog_config import resolve_catalog
from drls_dagster.lakehouse.reader.finding import Pinned, find, pin
from drls_dagster.lakehouse.reader.preview import batches, chosen
from drls_dagster.lakehouse.refs import schema_at
from drls_dagster.notebooks.problems import problem
from drls_dagster.notebooks.token import Bound, read_token
from drls_dagster.serving.asked import body_within, first_fault, shown_token
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor, WayIn
from lifecycle.domain.tables import Point, TableAt
from lifecycle.errors import DrlsError, Forbidden, Invalid, Unauthorized
from lifecycle.spec.notebook_cells import MAX_NOTEBOOK
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.visible_tables import environment_of, real_name, seen_tables
from lifecycle.usecases.read_tables import TableInfo, list_tables
from lifecycle.usecases.save_notebook import NotebookPipeline, show_notebook
from lifecycle.verbs.inputs import Name
from lifecycle.verbs.notebooks import NotebookText

if TYPE_CHECKING:
    import pyarrow as pa

TABLES, PIN, ROWS, PIPELINE = "/tables", "/pin", "/rows", "/pipeline"
_PAGE = 500
_ARROW = "application/vnd.apache.arrow.stream"
_MOST_BODY = 64 * 1024
_MOST_NOTEBOOK = 6 * MAX_NOTEBOOK  # as JSON escapes it
_LONGEST = 200
_DEVELOPMENT = Environment.DEVELOPMENT
_Model = TypeVar("_Model", bound=Frozen)


class Asked(Frozen):
    """Which table, at which point, and which of its columns. `empty`: as it was before its first snapshot."""

    name: str = Field(max_length=500)
    environment: str | None = Field(default=None, max_length=50)
    ref: str | None = Field(default=None, max_length=500)
    snapshot: int | None = None
    at: AwareDatetime | None = None
    columns: tuple[str, ...] = Field(default=(), max_length=1_000)
    empty: bool = False


class AskedPipeline(Frozen):
    """A notebook's text, and the name of the pipeline that it would be."""

    name: Name
    text: NotebookText


class Questions:
    """Answers the notebooks of one home. `require` raises for a notebook that does not run, and names its person."""

    def __init__(self, settings: Settings, open_context: Callable[[], Context], require: Callable[[Bound], str]):
        self._settings, self._context, self._require = settings, open_context, require

    def actor(self, text: str) -> Actor:
        """Who asks. Raises Unauthorized, and where the notebook or the account has ended."""
        ctx = self._context()
        bound = read_token(ctx, text)
        name = self._require(bound)
        with ctx.store.read() as view:
            if view.people.get(bound.person).disabled_at is not None:
                raise Unauthorized(f"the account of {name} is disabled; ask an Admin")
        return Actor(person=bound.person, name=name, way_in=WayIn.REST, part="notebook")

    def tables(self, actor: Actor, namespace: str, search: str) -> list[TableInfo]:
        """The development tables that the person may see, by the names that pipelines use."""
        found: list[TableInfo] = []
        after: str | None = ""
        while after is not None:
            page, after = list_tables(
                self._context(),
                actor,
                namespace=namespace,
                search=search,
                after=after,
                limit=_PAGE,
                environment=_DEVELOPMENT,
            )
            found += [one for one in page if _is_development(one.table or one.name)]
        return found

    def pin(self, actor: Actor, asked: Asked) -> Pinned:
        """The table as it is now. Raises Forbidden for another environment's, NotFound for what they may not see."""
        at = _development(asked)
        ctx = self._context()
        with ctx.store.read() as view:
            seen_tables(view, actor, uses=False).require(at.name)
        with catalog_errors(resolve_catalog(self._settings)):
            found = find(load_catalog(self._settings), at)
            if not _is_development(found.name):
                raise Forbidden(_ELSEWHERE)
            if asked.empty:
                return Pinned(found.name, found.table, None, schema_at(found.table, None))
            return pin(found, Point(snapshot=asked.snapshot, ref=asked.ref, at=asked.at))

    def rows(self, pinned: Pinned, columns: tuple[str, ...]) -> Iterator[bytes]:
        """An Arrow stream of them. The schema is looked at before the first byte."""
        import pyarrow as pa
        from pyiceberg.io.pyarrow import schema_to_pyarrow

        wanted = chosen(pinned, columns)
        schema = pa.schema([(one.name, one.type) for one in schema_to_pyarrow(wanted, include_field_ids=False)])
        return self._stream(pinned, wanted, schema)

    def pipeline(self, actor: Actor, asked: AskedPipeline) -> NotebookPipeline:
        """The cells of a text as a pipeline, and what saving it would refuse; saves nothing.

        Raises Forbidden for who may not save it.
        """
        return show_notebook(self._context(), actor, asked.text, asked.name)

    def _stream(self, pinned: Pinned, wanted: object, schema: pa.Schema) -> Iterator[bytes]:
        import pyarrow as pa

        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, schema) as stream, catalog_errors(resolve_catalog(self._settings)):
            yield _taken(sink)
            for batch in batches(pinned, wanted):  # type: ignore[arg-type]
                own = [
                    column if column.type == field.type else column.cast(field.type)
                    for column, field in zip(batch.columns, schema, strict=True)
                ]
                stream.write_batch(pa.RecordBatch.from_arrays(own, schema=schema))
                yield _taken(sink)
        yield _taken(sink)


def questions_app(questions: Questions) -> Starlette:
    """An app of these questions alone."""

    async def tables(request: Request) -> Response:
        asked = {name: request.query_params.get(name, "")[:_LONGEST] for name in ("namespace", "search")}

        def answer() -> Response:
            found = questions.tables(questions.actor(_token(request)), **asked)
            return JSONResponse([one.model_dump(mode="json") for one in found])

        return await _told(answer)

    async def pinned(request: Request) -> Response:
        body = await body_within(request, _MOST_BODY) or b""

        def answer() -> Response:
            actor, asked = questions.actor(_token(request)), _read(Asked, body)
            found = questions.pin(actor, asked)
            chosen(found, asked.columns)
            return JSONResponse({"name": found.name, "snapshot": found.snapshot})

        return await _told(answer)

    async def rows(request: Request) -> Response:
        body = await body_within(request, _MOST_BODY) or b""

        def answer() -> Response:
            asked = _read(Asked, body)
            found = questions.pin(questions.actor(_token(request)), asked)
            return StreamingResponse(questions.rows(found, asked.columns), media_type=_ARROW)

        return await _told(answer)

    async def pipeline(request: Request) -> Response:
        body = await body_within(request, _MOST_NOTEBOOK) or b""

        def answer() -> Response:
            actor = questions.actor(_token(request))
            return JSONResponse(questions.pipeline(actor, _read(AskedPipeline, body)).model_dump(mode="json"))

        return await _told(answer)

    return Starlette(
        routes=[
            Route(TABLES, tables),
            Route(PIN, pinned, methods=["POST"]),
            Route(ROWS, rows, methods=["POST"]),
            Route(PIPELINE, pipeline, methods=["POST"]),
        ]
    )


_ELSEWHERE = "a notebook reads development's tables only; to look at another environment: drls table preview"


def _development(asked: Asked) -> TableAt:
    """The table that is meant: an exact name of development's own, or the name that pipelines use."""
    if asked.environment not in (None, _DEVELOPMENT.value):
        raise Forbidden(_ELSEWHERE)
    if real_name(asked.name) == asked.name:
        return TableAt(name=asked.name, environment=_DEVELOPMENT)
    if environment_of(asked.name) is not _DEVELOPMENT or asked.environment is not None:
        raise Forbidden(_ELSEWHERE)
    return TableAt(name=asked.name)


def _is_development(name: str) -> bool:
    return environment_of(name) is _DEVELOPMENT


def _read(model: type[_Model], body: bytes) -> _Model:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        where, what = first_fault(error)
        raise Invalid(f"{where}: {what}") from None


def _token(request: Request) -> str:
    if token := shown_token(request):
        return token
    raise Unauthorized("this is for notebooks, which show their token")


async def _told(answer: Callable[[], Response]) -> Response:
    try:
        return await run_in_threadpool(answer)
    except DrlsError as error:
        return problem(error)


def _taken(sink: io.BytesIO) -> bytes:
    """What was written since the last look."""
    found = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return found
