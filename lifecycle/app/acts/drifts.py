"""The page of a drift: what was expected, what was found, and adopting or reverting it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from lifecycle.app.acts.act_view import (
    Act,
    Button,
    Group,
    Key,
    Line,
    Reason,
    environment_crumbs,
    request_group,
    who_can,
)
from lifecycle.app.kit import links
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Visitor, Who
from lifecycle.app.kit.render import kit_of, render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.words import NAMES, exact
from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.roles import Role
from lifecycle.domain.run import Drift
from lifecycle.usecases.context import Context
from lifecycle.usecases.settle_drift import How, Settlement, plan_settlement, settle_drift
from lifecycle.verbs.inputs import Id

router = APIRouter()
_MOST = 50


@router.get("/drifts/{drift_id}")
def drift_page(ctx: Ctx, request: Request, who: Who, drift_id: Id) -> Response:
    """A drift with what each way to settle it would do, and both forms."""
    plan = plan_settlement(ctx, who.actor, drift_id)
    drift, name = plan.drift, plan.pipeline.name
    is_open = not drift.is_settled
    with ctx.store.read() as view:
        blocked: tuple[Promotion, ...] = tuple(
            one
            for one in view.promotions.unfinished(plan.pipeline.id)
            if drift.environment in (one.plan.source, one.target)
        )
        by = view.people.names((drift.closed_by,))[drift.closed_by]
    groups = (
        *_facts(plan, kit_of(request).dagster),
        *((request_group(ctx, "Promotions it blocks", blocked), *_ways(plan)) if is_open else ()),
    )
    act = Act(
        title=f"Drift of {drift.table_name}",
        lead=_lead(plan) if is_open else f"It was {drift.state} by {by} on {exact(drift.closed_at)}: {drift.reason}",
        crumbs=environment_crumbs(drift.environment),
        groups=groups,
        buttons=_buttons(plan) if is_open else (),
        who=who_can(ctx, Role.LEAD, name),
        role=Role.LEAD,
        target=drift.environment,
    )
    return render(request, "acts/act.html", act=act)


@router.post("/drifts/{drift_id}/adopt")
def adopt(ctx: Ctx, request: Request, who: Who, drift_id: Id, reason: Reason = "", key: Key = None) -> Response:
    """Takes the foreign write over."""
    return _settle(ctx, request, who, drift_id, "adopt", reason, key)


@router.post("/drifts/{drift_id}/revert")
def revert(ctx: Ctx, request: Request, who: Who, drift_id: Id, reason: Reason = "", key: Key = None) -> Response:
    """Undoes the foreign write."""
    return _settle(ctx, request, who, drift_id, "revert", reason, key)


def _settle(
    ctx: Context, request: Request, who: Visitor, drift_id: int, how: How, reason: str, key: str | None
) -> Response:
    drift = settle_drift(ctx, who.actor, drift_id, how, reason=reason, key=key)
    if drift.outcome:
        said = f"The drift of {drift.table_name} is {drift.state}, waiting: {drift.outcome}."
        return done(request, links.environment(drift.environment), said, "warn")
    return done(request, links.environment(drift.environment), f"The drift of {drift.table_name} is {drift.state}.")


def _lead(plan: Settlement) -> str:
    if plan.drift.state == "reverting":
        waits = f" Waiting: {plan.drift.outcome}." if plan.drift.outcome else ""
        return f"It is being reverted ({plan.drift.reason}).{waits}"
    if plan.drift.file is not None:
        return f"A file of a table of {plan.pipeline.name} is not as it was published: someone changed it outside DRLS."
    of = f"of a table of {plan.pipeline.name}"
    if plan.drift.found is None:
        return f"The ref {plan.drift.ref} {of} or the table itself is gone, and no DRLS run removed it."
    if plan.is_older:
        return f"The ref {plan.drift.ref} {of} went back to an older snapshot, and no DRLS rollback explains it."
    return f"The ref {plan.drift.ref} {of} points to a snapshot that no DRLS run explains."


def _facts(plan: Settlement, dagster: str | None) -> tuple[Group, ...]:
    drift = plan.drift
    none = "none: the ref is gone"
    by_now = Line("The ref now points to another snapshot:", code=str(plan.head or none))
    head = () if plan.head == drift.found else (by_now,)
    found = Line(f"Found on {exact(drift.found_at)}, snapshot", code=str(drift.found or none))
    if plan.is_older:
        head = (Line("It is older than expected: someone moved the ref back."), *head)
    if drift.file is not None:
        now = () if plan.drift.is_settled else (Line(f"Now: {plan.file or 'as published, or no longer needed'}."),)
        return (
            Group("Expected", "check", (Line("Files that are published never change."),)),
            Group("Found", "drift", (Line(f"On {exact(drift.found_at)}: {drift.why}."), *now)),
        )
    foreign = tuple(Line(f"{one.operation}, snapshot", code=str(one.id)) for one in plan.foreign[:_MOST])
    if len(plan.foreign) > _MOST:
        foreign = (*foreign, Line(f"… and {len(plan.foreign) - _MOST} more."))
    return (
        Group("Expected", "check", (_expected(plan, dagster),)),
        Group("Found", "drift", (found, *head)),
        Group("Written since, newest first", "table", foreign or (Line("Nothing."),)),
    )


def _expected(plan: Settlement, dagster: str | None) -> Line:
    if plan.expected is None:
        return Line("Nothing: DRLS has never published this table there.")
    snapshot, by = plan.expected.snapshot, plan.expected.by
    if isinstance(by, Drift) and by.id == plan.drift.id:
        return Line("The state found, because it was adopted.")
    if isinstance(by, Drift):
        text = f" was adopted on {exact(by.closed_at)}, snapshot"
        return Line(text, href=links.drift(by.id), link="An earlier drift", code=str(snapshot or "none"))
    if by.run_id.startswith("maintenance:"):
        return Line(f"Maintenance rewrote its files on {exact(by.at)}, snapshot", code=str(snapshot))
    if by.promotion_id is not None:
        text = f" released it on {exact(by.at)}, snapshot"
        return Line(text, href=links.request(by.promotion_id), link=f"Request {by.promotion_id}", code=str(snapshot))
    href = links.run(dagster, by.run_id) if dagster else ""
    return Line(f"Snapshot {snapshot}, published on {exact(by.at)} by run", href=href, code=by.run_id)


def _ways(plan: Settlement) -> tuple[Group, ...]:
    drift = plan.drift
    if drift.file is not None:
        return (
            Group("If you adopt it", "check", (Line("The file counts as published as it is now; no data changes."),)),
            Group("If you revert it", "turn", (Line("The drift closes, once the file is restored or not needed."),)),
        )
    what = f"Snapshot {drift.found}" if drift.found else "The removal"
    adopt = [Line(f"{what} counts as explained from now on; no data changes.")]
    if plan.compaction is not None and plan.compaction.base is not None:
        against = f"row counts and the values of each column are compared with snapshot {plan.compaction.base}"
        adopt.append(Line(f"It claims to rewrite files only. First, {against}, which may take minutes."))
    elif plan.compaction is not None:
        adopt.append(Line("It claims to rewrite files only. Its base has expired, so no row can be compared."))
    if drift.environment is Environment.PRODUCTION:
        adopt.append(Line("The next run and the next promotion start from it."))
    if drift.environment.has_sessions:
        adopt.append(Line("It is not evidence: the pipeline needs a new evidence session before it can be promoted."))
    last = plan.expected.snapshot if plan.expected else None
    back = f"to snapshot {last}" if last else "nowhere: DRLS knows no snapshot to restore"
    loses = "" if plan.is_older else "; rows written since are no longer in the table"
    revert = (
        Line(f"{drift.table_name} goes back {back}, in one commit{loses}."),
        Line("Its snapshots stay until they expire, so removed data can still be read by snapshot number."),
    )
    return (Group("If you adopt it", "check", tuple(adopt)), Group("If you revert it", "turn", revert))


def _buttons(plan: Settlement) -> tuple[Button, ...]:
    url = links.drift(plan.drift.id)
    where = NAMES[plan.drift.environment]
    return (
        Button(f"{url}/adopt", "Adopt", plan.adopt, hint="Who wrote it, and why is it right?", danger=False),
        Button(f"{url}/revert", f"Revert in {where}", plan.revert, hint="Why must it be undone?"),
    )
