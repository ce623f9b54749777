"""Two versions of a pipeline compared."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from lifecycle.app.kit import links
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.spec.spec_diff_view import spec_diff_view
from lifecycle.app.pipelines.pipeline import Name, Number
from lifecycle.usecases.parts.specs import spec_of
from lifecycle.usecases.parts.version_code import code_texts
from lifecycle.usecases.parts.visible import visible_pipeline

router = APIRouter()
Chosen = Annotated[int, Query(ge=1, le=2**31 - 1)]


@router.get("/pipelines/{name}/compare")
def choose(ctx: Ctx, who: Who, name: Name, before: Chosen, after: Chosen) -> Response:
    """Leads to the comparison of the chosen versions, whose address can be sent to others."""
    with ctx.store.read() as view:
        visible_pipeline(view, who.actor, name)
    return RedirectResponse(links.compare(name, before, after), 303)


@router.get("/pipelines/{name}/compare/{before}/{after}")
def compare(ctx: Ctx, request: Request, who: Who, name: Name, before: Number, after: Number) -> Response:
    """What changed from version `before` to version `after`."""
    with ctx.store.read() as view:
        pipeline = visible_pipeline(view, who.actor, name)
        versions = tuple(view.pipelines.numbered(pipeline, number) for number in (before, after))
        names = {person.id: person.name for person in view.people.all()}
        newest = view.pipelines.newest(pipeline.id)
        old, new = (spec_of(version) for version in versions)
        code = code_texts(view, old), code_texts(view, new)
    assert newest is not None  # noqa: S101 (a pipeline begins with a version)
    diff = spec_diff_view(old, new, code)
    authors = tuple(names.get(version.author or 0, "") for version in versions)
    return render(
        request,
        "pipelines/compare.html",
        name=name,
        sides=tuple(zip(versions, authors, strict=True)),
        before=before,
        after=after,
        newest=newest.number,
        diff=diff,
    )
