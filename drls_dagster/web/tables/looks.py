"""The views of a table that read metadata alone: overview, columns, snapshots, lineage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from drls_dagster.web.tables import links
from drls_dagster.web.tables.frame import Asked, Frame, page
from drls_dagster.web.tables.healthy import mark_of
from drls_dagster.web.tables.lineage import stages
from drls_dagster.web.tables.rights import rights
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.paging import QueryText
from lifecycle.app.kit.request import Ctx
from lifecycle.domain.tables import ColumnFacts
from lifecycle.usecases import read_tables
from lifecycle.usecases.parts.visible_tables import real_name

router = APIRouter()
COLUMNS = 200
SNAPSHOTS = 50
Position = Annotated[int, Query(ge=0, le=1_000_000)]


@router.get("/tables/{name}")
def overview(ctx: Ctx, request: Request, who: Who, at: Asked) -> Response:
    """What the table is, where it is, who uses it, and how healthy it is."""

    def made(frame: Frame) -> Mapping[str, Any]:
        found = read_tables.show_table(ctx, who.actor, at)
        return {
            "table": found,
            "health": mark_of(ctx, at),
            "rights": rights(ctx, who, frame),
            "head_url": {one.environment: links.table(real_name(at.name), "", one.environment) for one in found.heads},
        }

    return page(ctx, request, who, at, "", made)


@router.get("/tables/{name}/columns")
def columns(ctx: Ctx, request: Request, who: Who, at: Asked, q: QueryText = "", after: Position = 0) -> Response:
    """Columns with nested fields and docs."""

    def made(frame: Frame) -> Mapping[str, Any]:
        found = read_tables.table_schema(ctx, who.actor, at, search=q.strip(), after=after, limit=COLUMNS)
        return {
            "schema": found,
            "q": q,
            "after": after,
            "rows": list(_depths(found.columns)),
            "next_url": frame.url("columns", q=q.strip(), after=found.next) if found.next is not None else "",
            "first_url": frame.url("columns", q=q.strip()) if after else "",
        }

    return page(ctx, request, who, at, "columns", made)


@router.get("/tables/{name}/snapshots")
def snapshots(
    ctx: Ctx,
    request: Request,
    who: Who,
    at: Asked,
    ref: QueryText = "",
    before: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
) -> Response:
    """Snapshots as a timeline, with branches and tags."""

    def made(frame: Frame) -> Mapping[str, Any]:
        table = ctx.tables.describe(at, None)
        found, more = read_tables.table_history(ctx, who.actor, at, ref=ref or None, before=before, limit=SNAPSHOTS)
        return {
            "table": table,
            "ref": ref,
            "snapshots": found,
            "next_url": frame.url("snapshots", ref=ref, before=found[-1].snapshot) if more and found else "",
            "first_url": frame.url("snapshots", ref=ref) if before is not None else "",
        }

    return page(ctx, request, who, at, "snapshots", made)


@router.get("/tables/{name}/lineage")
def lineage(ctx: Ctx, request: Request, who: Who, at: Asked) -> Response:
    """What is upstream and downstream of the table."""

    def made(frame: Frame) -> Mapping[str, Any]:
        return {"stages": stages(ctx, who, real_name(at.name), at.environment)}

    return page(ctx, request, who, at, "lineage", made)


def _depths(columns: Sequence[ColumnFacts]) -> Iterator[tuple[int, str, ColumnFacts]]:
    """How deep each is nested in those before it, and its own name there."""
    above: list[str] = []
    for one in columns:
        while above and not (one.nested and one.name.startswith(above[-1] + ".")):
            above.pop()
        yield min(len(above), 6), one.name[len(above[-1]) + 1 :] if above else one.name, one
        above.append(one.name)
