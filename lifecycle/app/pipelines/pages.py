"""The list of pipelines, and importing into it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from lifecycle.app.kit import links
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.paging import Paged, PageNumber, QueryText, paged
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.pipelines.uploads import Upload, import_sent, save_sent, sent
from lifecycle.domain.environment import Environment
from lifecycle.domain.version import Label, Version
from lifecycle.store.repositories.overview import Head, Live
from lifecycle.store.unit import View
from lifecycle.usecases.catalog import Facts, Search, catalog, facts_of

router = APIRouter()
Message = Annotated[str, Form(max_length=2_000)]
Key = Annotated[str, Form(min_length=8, max_length=200)]
_SUGGESTED = 200


@dataclass(frozen=True, slots=True)
class ActiveMark:
    """A version that is active in an environment."""

    environment: Environment
    number: int
    url: str
    unreviewed: bool


@dataclass(frozen=True, slots=True)
class PipelineRow:
    """A pipeline in the list."""

    name: str
    url: str
    facts: Facts
    newest: int
    newest_url: str
    saved_at: datetime
    author: str | None
    active: tuple[ActiveMark, ...]


@dataclass(frozen=True, slots=True)
class PipelineList:
    """A page of rows, and which owners and tags there are to filter by."""

    page: Paged[PipelineRow]
    owners: tuple[str, ...]
    tags: tuple[str, ...]


@router.get("/pipelines")
def pipelines(
    ctx: Ctx,
    request: Request,
    who: Who,
    q: QueryText = "",
    owner: QueryText = "",
    tag: QueryText = "",
    environment: Annotated[str, Query(pattern="^(development|qa|uat|production)?$")] = "",
    page: PageNumber = 1,
) -> Response:
    """Those that the visitor may see, found by name, owner, tag and environment."""
    where = Environment(environment) if environment else None
    search = Search(text=q.strip(), owner=owner.strip(), tag=tag.strip(), environment=where)
    with ctx.store.read() as view:
        shown = _list(view, who, search, page)
    return render(request, "pipelines/list.html", list=shown, search=search)


@router.post("/pipelines/import")
def import_file(
    ctx: Ctx,
    request: Request,
    who: Who,
    key: Key,
    file: Upload = None,
    message: Message = "",
    trust: Annotated[str, Form(max_length=64, pattern=r"^([0-9a-f]{64})?$")] = "",
) -> Response:
    """Saves a definition, or imports a signed bundle; which one it is says the file itself."""
    given = sent(file)
    if given.is_bundle:
        version = import_sent(ctx, who.actor, given, trust=trust, key=key)
    else:
        version = save_sent(ctx, who.actor, given, message=message, key=key)
    return to_saved(ctx, request, version)


def to_saved(ctx: Ctx, request: Request, version: Version) -> Response:
    """On to the page of a version that was saved just now, or that has the same content."""
    with ctx.store.read() as view:
        name = view.pipelines.get(version.pipeline_id).name
        newest = view.pipelines.newest_digest(version.pipeline_id)
    words = f"Saved as {name} v{version.number}, active in development"
    if version.digest != newest:
        words = f"{name} v{version.number} has the same content and is active in development again"
    return done(request, links.version(name, version.number), words)


def _list(view: View, who: Who, search: Search, number: int) -> PipelineList:
    asked = {
        "q": search.text,
        "owner": search.owner,
        "tag": search.tag,
        "environment": search.environment.value if search.environment else "",
    }
    part = paged(catalog(view, who.actor, search), number, "/pipelines", asked)
    # What to suggest is of everything that is visible, not only of what was found.
    every = facts_of(view, [head.digest for head in catalog(view, who.actor)])
    live = view.overview.live(head.id for head in part.items)
    saved = view.overview.saved(head.digest for head in part.items)
    rows = tuple(_row(head, every[head.digest], live.get(head.id, {}), *saved[head.digest]) for head in part.items)
    owners = sorted({owner for facts in every.values() for owner in facts.owners})
    tags = sorted({f"{key}={value}" for facts in every.values() for key, value in facts.tags.items()})
    page = Paged(rows, part.total, part.first, part.previous, part.following)
    return PipelineList(page, tuple(owners[:_SUGGESTED]), tuple(tags[:_SUGGESTED]))


def _row(head: Head, facts: Facts, live: dict[Environment, Live], at: datetime, author: str | None) -> PipelineRow:
    return PipelineRow(
        name=head.name,
        url=links.pipeline(head.name),
        facts=facts,
        newest=head.number,
        newest_url=links.version(head.name, head.number),
        saved_at=at,
        author=author,
        active=tuple(_mark(head.name, live[where]) for where in Environment if where in live),
    )


def _mark(name: str, live: Live) -> ActiveMark:
    url = links.version(name, live.number)
    return ActiveMark(live.environment, live.number, url, live.label is Label.UNREVIEWED)
