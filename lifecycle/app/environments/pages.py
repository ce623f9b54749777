"""The pages of the environments: what runs where, now and at any past time, and what holds it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lifecycle.app.environments.view import MOST_SHOWN, board, read_moment, summaries
from lifecycle.app.kit import links
from lifecycle.app.kit.guard import Visitor, Who
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.domain.environment import Environment
from lifecycle.errors import Invalid
from lifecycle.usecases.context import Context

router = APIRouter()
_TEXT = r"^[^\x00]*$"
At = Annotated[str, Query(max_length=60)]
Search = Annotated[str, Query(max_length=63, pattern=_TEXT)]
After = Annotated[str, Query(max_length=63, pattern=_TEXT)]


@router.get("/environments")
def environments_page(ctx: Ctx, request: Request, who: Who) -> Response:
    """All environments side by side."""
    return _side_by_side(ctx, request, who, "environments/all.html")


@router.get("/environments/live")
def environments_live(ctx: Ctx, request: Request, who: Who) -> Response:
    """The same, as the part that loads itself again."""
    return _side_by_side(ctx, request, who, "environments/all_live.html")


@router.get("/environments/{environment}")
def environment_page(
    ctx: Ctx, request: Request, who: Who, environment: Environment, at: At = "", q: Search = "", after: After = ""
) -> Response:
    """One environment, now or `at` a past time; `q`: pipelines whose name has this, `after`: the next page."""
    return _board(ctx, request, who, environment, at, q, after, part=False)


@router.get("/environments/{environment}/live")
def environment_live(
    ctx: Ctx, request: Request, who: Who, environment: Environment, at: At = "", q: Search = "", after: After = ""
) -> Response:
    """The same, as the part that loads itself again."""
    return _board(ctx, request, who, environment, at, q, after, part=True)


def _side_by_side(ctx: Context, request: Request, who: Visitor, template: str) -> Response:
    with ctx.store.read() as view:
        found = summaries(view, who.actor)
    return render(request, template, summaries=found, most=MOST_SHOWN)


def _board(
    ctx: Context, request: Request, who: Visitor, environment: Environment, at: str, q: str, after: str, *, part: bool
) -> Response:
    wrong, found = "", None
    with ctx.store.read() as view:
        try:
            moment = read_moment(at, view.now)
            found = board(view, who.actor, environment, at=moment, like=q.strip(), after=after)
        except Invalid as error:
            if part:
                # The page says it at the field; a part has none.
                raise
            wrong, moment = error.message, None
    page = links.environment(environment)

    def url(base: str, **changed: str) -> str:
        values = {"at": at.strip(), "q": q.strip(), "after": after, **changed}
        query = urlencode({name: value for name, value in values.items() if value})
        return f"{base}?{query}" if query else base

    return render(
        request,
        "environments/one_live.html" if part else "environments/one.html",
        status=422 if wrong else 200,
        environment=environment,
        board=found,
        wrong=wrong,
        at=at,
        typed=f"{moment:%Y-%m-%dT%H:%M}" if moment else at,
        q=q,
        live_url=url(f"{page}/live"),
        next_url=url(page, after=found.following) if found and found.following else "",
        first_url=url(page, after="") if after else "",
        now_url=url(page, at="", after="") if at.strip() else "",
        most=MOST_SHOWN,
    )
