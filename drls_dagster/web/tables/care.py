"""The view of a table's health: the score, what costs points, and what can be done about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from drls_dagster.web.tables.frame import Asked, Frame, page
from drls_dagster.web.tables.healthy import mark_of_score
from drls_dagster.web.tables.operating import NAMES, doable, operation_rows
from drls_dagster.web.tables.plots import Given, Line, line
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.words import count
from lifecycle.domain.operations import OperationKind
from lifecycle.domain.table_health import BEST, HealthKind, HealthLook, HealthReason
from lifecycle.usecases import operate_table, table_health

router = APIRouter()
_LOOKS = 60
_OPERATIONS = 5
# What is done about each kind; nothing is for what no operation changes.
FIXES: Mapping[HealthKind, OperationKind] = {
    HealthKind.SMALL_FILES: OperationKind.COMPACT,
    HealthKind.SIZE_SKEW: OperationKind.COMPACT,
    HealthKind.DELETE_FILES: OperationKind.COMPACT,
    HealthKind.DELETED_ROWS: OperationKind.COMPACT,
    HealthKind.SORT_DRIFT: OperationKind.COMPACT,
    HealthKind.SNAPSHOTS: OperationKind.EXPIRE,
    HealthKind.METADATA_BYTES: OperationKind.EXPIRE,
    HealthKind.MANIFESTS: OperationKind.MANIFESTS,
    HealthKind.MANIFEST_BYTES: OperationKind.MANIFESTS,
    HealthKind.ORPHANS: OperationKind.ORPHANS,
}


@dataclass(frozen=True, slots=True)
class Fix:
    """A number of the report, and the plan that would change it; without an address there is none here."""

    reason: HealthReason
    word: str
    url: str


def figure(number: float) -> str:
    """A number with two digits behind the point at most."""
    return count(int(number)) if number == int(number) else f"{number:,.2f}".replace(",", "\u202f")


@router.get("/tables/{name}/health")
def health(ctx: Ctx, request: Request, who: Who, at: Asked) -> Response:
    """From metadata alone."""

    def made(frame: Frame) -> Mapping[str, Any]:
        report = table_health.table_health(ctx, who.actor, at)
        looks, _ = table_health.score_history(ctx, who.actor, report.name, before="", limit=_LOOKS)
        can = doable(ctx)
        return {
            "report": report,
            "mark": mark_of_score(report.score, report.recommendation),
            "reasons": [_fix(one, frame, can) for one in report.reasons],
            "operations": [(kind, frame.url("maintain", kind=kind.value)) for kind in can],
            "names": NAMES,
            "figure": figure,
            "looks": looks,
            "history": _history(looks),
            "done": operation_rows(ctx, who, table=report.name, limit=_OPERATIONS) if can else [],
            "policy": operate_table.table_policy(ctx, who.actor, at) if can else None,
        }

    return page(ctx, request, who, at, "health", made)


def _fix(one: HealthReason, frame: Frame, can: Sequence[OperationKind]) -> Fix:
    kind = FIXES.get(one.kind)
    if kind is None or kind not in can:
        return Fix(one, "", "")
    return Fix(one, kind.value, frame.url("maintain", kind=kind.value))


def _history(looks: Sequence[HealthLook]) -> Line | None:
    """Oldest first; one look is no line."""
    if len(looks) < 2:
        return None
    return line(
        [
            Given(one.score, f"{one.at:%Y-%m-%d}", f"{one.at:%Y-%m-%d %H:%M} UTC: {one.score}")
            for one in reversed(looks)
        ],
        most=BEST,
    )
