"""The explorer: namespaces, search, and a page of tables with what is known of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from drls_dagster.web.tables import links
from drls_dagster.web.tables.frame import ENVIRONMENT
from drls_dagster.web.tables.healthy import Mark, mark_of
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.paging import PageNumber, QueryText, address, paged
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.domain.environment import Environment
from lifecycle.domain.tables import TableAt, TableSummary
from lifecycle.usecases.browse_tables import Browsed, browse, summaries
from lifecycle.usecases.parts.visible_tables import namespace_of

router = APIRouter()
_NAMESPACES = 200


@dataclass(frozen=True, slots=True)
class Row:
    """A table of the list; `found` None: it is gone, or the environment does not have it yet."""

    name: str
    namespace: str
    short: str
    url: str
    found: TableSummary | None
    written_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """A namespace, with how many of its tables match."""

    name: str
    count: int
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """An environment to look at; None: tables by their own names."""

    environment: Environment | None
    url: str
    current: bool


@router.get("/tables")
def tables(
    ctx: Ctx,
    request: Request,
    who: Who,
    q: QueryText = "",
    namespace: QueryText = "",
    environment: Annotated[str, ENVIRONMENT] = "",
    page: PageNumber = 1,
) -> Response:
    """Those that the visitor may see."""
    where = Environment(environment) if environment else None
    asked = {"q": q.strip(), "namespace": namespace.strip(), "environment": environment}
    browsed = browse(ctx, who.actor, namespace=asked["namespace"], search=asked["q"], environment=where)
    names = paged(browsed.names, page, links.EXPLORER, asked)
    found = summaries(ctx, names.items, where)
    shelves = [
        Shelf(name, count, address(links.EXPLORER, {**asked, "namespace": name}), name == asked["namespace"])
        for name, count in browsed.namespaces
    ]
    return render(
        request,
        "tables/explorer.html",
        asked=asked,
        has_operations=bool(ctx.maintenance.kinds()),
        where=where,
        page=names.of(_row(name, found[name], browsed, where) for name in names.items),
        shelves=_some(shelves),
        hidden=max(len(shelves) - _NAMESPACES, 0),
        everywhere=sum(one.count for one in shelves),
        all_url=address(links.EXPLORER, {**asked, "namespace": ""}),
        choices=[
            Choice(one, address(links.EXPLORER, {**asked, "environment": one.value if one else ""}), one is where)
            for one in (None, *Environment)
        ],
        health_url=address("/tables/health", asked, page),
    )


@router.get("/tables/health")
def health_marks(
    ctx: Ctx,
    request: Request,
    who: Who,
    q: QueryText = "",
    namespace: QueryText = "",
    environment: Annotated[str, Query(), ENVIRONMENT] = "",
    page: PageNumber = 1,
) -> Response:
    """How healthy the tables of the same page of the explorer are, for the page to put next to each."""
    where = Environment(environment) if environment else None
    browsed = browse(ctx, who.actor, namespace=namespace.strip(), search=q.strip(), environment=where)
    names = paged(browsed.names, page, "", {}).items
    marks: list[Mark | None] = [mark_of(ctx, TableAt(name=name, environment=_in(name, where))) for name in names]
    return render(request, "tables/health_marks.html", marks=marks)


def _row(name: str, found: TableSummary | None, browsed: Browsed, where: Environment | None) -> Row:
    namespace = namespace_of(name)
    return Row(
        name=name,
        namespace=namespace,
        short=name[len(namespace) + 1 :],
        url=links.table(name, environment=_in(name, where) if found else None),
        found=found,
        written_by=browsed.seen.writers(name),
    )


def _in(name: str, where: Environment | None) -> Environment | None:
    """A name with a quoted part is no pipeline's: it is the same table in every environment."""
    return None if '"' in name else where


def _some(shelves: list[Shelf]) -> list[Shelf]:
    """The first ones, and the one that is open."""
    return shelves[:_NAMESPACES] + [one for one in shelves[_NAMESPACES:] if one.current]
