"""A pipeline's page, and the page of each of its versions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.paging import QueryText
from lifecycle.app.kit.render import kit_of, render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.pipelines.pipeline_view import pipeline_view, state_of
from lifecycle.spec import dump_yaml
from lifecycle.usecases.parts.specs import spec_of
from lifecycle.usecases.parts.visible import visible_pipeline

router = APIRouter()
Name = Annotated[str, Path(min_length=1, max_length=63, pattern=r"^[a-z][a-z0-9_]*$")]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Below = Annotated[int | None, Query(ge=2, le=2**31 - 1)]


@router.get("/pipelines/{name}")
def newest(ctx: Ctx, request: Request, who: Who, name: Name, below: Below = None, around: QueryText = "") -> Response:
    """The newest version."""
    return _page(ctx, request, who, name, None, below, around)


@router.get("/pipelines/{name}/versions/{number}")
def numbered(
    ctx: Ctx, request: Request, who: Who, name: Name, number: Number, below: Below = None, around: QueryText = ""
) -> Response:
    """One version."""
    return _page(ctx, request, who, name, number, below, around)


@router.get("/pipelines/{name}/state")
def state_part(ctx: Ctx, request: Request, who: Who, name: Name) -> Response:
    """Where it is active, its requests and runs, again."""
    with ctx.store.read() as view:
        shown = state_of(view, visible_pipeline(view, who.actor, name), kit_of(request).dagster)
    return render(request, "pipelines/state.html", state=shown)


@router.get("/pipelines/{name}/versions/{number}/definition.yaml")
def definition(ctx: Ctx, who: Who, name: Name, number: Number) -> Response:
    """The definition as a file that can be changed and saved on top of this version."""
    with ctx.store.read() as view:
        version = view.pipelines.numbered(visible_pipeline(view, who.actor, name), number)
    headers = {"Content-Disposition": f'attachment; filename="{name}-v{number}.yaml"'}
    return Response(dump_yaml(spec_of(version)), media_type="application/yaml; charset=utf-8", headers=headers)


def _page(
    ctx: Ctx, request: Request, who: Who, name: str, number: int | None, below: int | None, around: str
) -> Response:
    with ctx.store.read() as view:
        pipeline = visible_pipeline(view, who.actor, name)
        version = view.pipelines.newest(pipeline.id) if number is None else view.pipelines.numbered(pipeline, number)
        assert version is not None  # noqa: S101 (a pipeline begins with a version)
        shown = pipeline_view(view, who, pipeline, version, below=below, around=around, dagster=kit_of(request).dagster)
    return render(request, "pipelines/pipeline.html", pipeline=shown, state=shown.state)
