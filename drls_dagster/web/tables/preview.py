"""The first rows of a table at any state, and the statistics of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from drls_dagster.web.tables.frame import Asked, Frame, frame_of, page
from drls_dagster.web.tables.values import Shown, is_number, shown
from lifecycle.app.kit.guard import Visitor, Who
from lifecycle.app.kit.paging import QueryText
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.domain.tables import ColumnPage, ColumnStatistics, Point, ReadLimits, StatisticsAsked, TableAt
from lifecycle.errors import Invalid, LifecycleError
from lifecycle.usecases import read_tables
from lifecycle.usecases.context import Context

router = APIRouter()
COLUMNS = 50
ROWS = 50
TEXT = 200
TOP = 3
_BYTES = 1_000_000
_SECONDS = 30


@dataclass(frozen=True, slots=True)
class State:
    """The state that is read, as it was typed. At most one of them is given."""

    ref: str
    snapshot: str
    at: str

    @property
    def given(self) -> dict[str, str]:
        return {
            name: value for name, value in (("ref", self.ref), ("snapshot", self.snapshot), ("at", self.at)) if value
        }

    @property
    def point(self) -> Point:
        """Raises Invalid for what is no number or no time."""
        if self.snapshot and not (self.snapshot.isascii() and self.snapshot.isdigit() and len(self.snapshot) < 20):
            raise Invalid(f"{self.snapshot!r} is not a snapshot; it is a number from the list of snapshots")
        return Point(
            ref=self.ref or None,
            snapshot=int(self.snapshot) if self.snapshot else None,
            at=_moment(self.at) if self.at else None,
        )


def state_of(ref: QueryText = "", snapshot: QueryText = "", at: QueryText = "") -> State:
    """The state that an address names."""
    return State(ref.strip(), snapshot.strip(), at.strip())


AskedState = Annotated[State, Depends(state_of)]
After = Annotated[int, Query(ge=0, le=1_000_000)]


@dataclass(frozen=True, slots=True)
class StatisticsRow:
    """What is in a column; `most` are the most frequent values with how many rows have each."""

    column: ColumnStatistics
    is_number: bool
    smallest: Shown | None
    largest: Shown | None
    most: tuple[tuple[Shown, int], ...]


@router.get("/tables/{name}/preview")
def preview(ctx: Ctx, request: Request, who: Who, at: Asked, state: AskedState, after: After = 0) -> Response:
    """Rows, with every value as it is."""

    def made(frame: Frame) -> Mapping[str, Any]:
        found = read_tables.preview_table(
            ctx,
            who.actor,
            at,
            state.point,
            (),
            ReadLimits(rows=ROWS, bytes=_BYTES, seconds=_SECONDS, text=TEXT),
            ColumnPage(after=after, most=COLUMNS),
        )
        table = ctx.tables.describe(at, None)
        types = [one.type for one in found.columns]
        return {
            "found": found,
            "rows": [[shown(value, kind, TEXT) for value, kind in zip(row, types, strict=True)] for row in found.rows],
            "numbers": [is_number(kind) for kind in types],
            "state": state,
            "table": table,
            "after": after,
            "previous_url": frame.url("preview", **state.given, after=max(after - COLUMNS, 0) or "") if after else "",
            "next_url": frame.url("preview", **state.given, after=found.next) if found.next is not None else "",
            "statistics_url": frame.url("statistics", **state.given, after=after or ""),
        }

    return page(ctx, request, who, at, "preview", made)


@router.get("/tables/{name}/statistics")
def statistics(ctx: Ctx, request: Request, who: Who, at: Asked, state: AskedState, after: After = 0) -> Response:
    """Statistics of the same columns: a part of the preview, or a page where no scripts run."""
    frame = frame_of(ctx, who, at, "preview")
    template = "tables/statistics_part.html" if "hx-request" in request.headers else "tables/statistics.html"
    try:
        found = _statistics(ctx, who, at, state, after)
    except LifecycleError as error:
        if "hx-request" in request.headers or error.status == 404:
            raise
        return render(request, "tables/trouble.html", status=error.status, frame=frame, why=error.message)
    rows = [_row(one) for one in found.columns]
    back = frame.url("preview", **state.given, after=after or "")
    return render(request, template, frame=frame, found=found, rows=rows, back_url=back)


def _statistics(ctx: Context, who: Visitor, at: TableAt, state: State, after: int) -> Any:
    return read_tables.table_statistics(
        ctx,
        who.actor,
        at,
        state.point,
        StatisticsAsked(columns=(), after=after, most=COLUMNS, top=TOP),
        ReadLimits(rows=COLUMNS, bytes=_BYTES, seconds=_SECONDS, text=TEXT),
    )


def _row(one: ColumnStatistics) -> StatisticsRow:
    return StatisticsRow(
        column=one,
        is_number=is_number(one.type),
        smallest=shown(one.min, one.type, TEXT) if one.min is not None else None,
        largest=shown(one.max, one.type, TEXT) if one.max is not None else None,
        most=tuple((shown(each.value, one.type, TEXT), each.rows) for each in one.top),
    )


def _moment(text: str) -> datetime:
    """A time as people write it, UTC unless it says otherwise. Raises Invalid."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(f"{text!r} is not a time; write it like 2026-03-31T18:00 (UTC)") from None
