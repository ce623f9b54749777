"""The page to roll production back: to the release before, with its code alone or with its data."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from lifecycle.app.acts.act_view import (
    Act,
    Button,
    Choice,
    Group,
    Key,
    Line,
    Reason,
    ending_groups,
    pipeline_crumbs,
    reload_group,
    who_can,
)
from lifecycle.app.kit import links
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.render import kit_of, render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.words import NAMES, short
from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import Answered, State
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Label
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.data_back import UndonePublish
from lifecycle.usecases.rollback_release import Rollback, RollbackPlan, preview_rollback, rollback_release
from lifecycle.verbs.inputs import Name

router = APIRouter()
_MOST = 200


@router.get("/pipelines/{name}/rollback")
def rollback_page(ctx: Ctx, request: Request, who: Who, name: Name, data: Annotated[bool, Query()] = False) -> Response:
    """What a rollback would do now, and the form; `data`: the tables go back too."""
    preview = preview_rollback(ctx, who.actor, name, data=data)
    dagster = kit_of(request).dagster
    groups: tuple[Group, ...] = ()
    if preview.plan is not None:
        groups = (
            _versions(ctx, name, preview),
            *_data(preview.plan, dagster, data=data),
            *ending_groups(ctx, preview.ending, dagster),
            reload_group(Environment.PRODUCTION),
        )
    digest = preview.plan.plan.digest if preview.plan else ""
    url = links.rollback(name)
    act = Act(
        title=f"Roll back {name}",
        lead="Production runs the previous release again. This needs no approval and waits for no window.",
        crumbs=pipeline_crumbs(name),
        groups=groups,
        buttons=(
            Button(
                url,
                "Roll back code and data" if data else "Roll back the code",
                preview.checks,
                hint="What is wrong in production? Everyone can read this.",
                hidden={"data": "yes"} if data else {},
                consent=f"I have reviewed the data to be removed (plan {short(digest)}) and want to remove it"
                if data
                else "",
                consent_value=digest,
            ),
        ),
        who=who_can(ctx, Role.LEAD, name),
        role=Role.LEAD,
        choices=(Choice("Code only", url, not data), Choice("Code and data", f"{url}?data=true", data)),
        target=Environment.PRODUCTION,
    )
    return render(request, "acts/act.html", act=act)


@router.post("/pipelines/{name}/rollback")
def rollback(
    ctx: Ctx,
    request: Request,
    who: Who,
    name: Name,
    reason: Reason = "",
    data: Annotated[str, Form(max_length=10)] = "",
    consent: Annotated[str, Form(max_length=100)] = "",
    key: Key = None,
) -> Response:
    """Rolls back; `consent` is the digest of the plan whose losses were shown."""
    released = rollback_release(
        ctx, who.actor, name, reason=reason, data=data == "yes", consent=consent or None, key=key
    )
    return came_of(request, released, f"{name} is rolled back")


def came_of(request: Request, promotion: Answered, success: str) -> Response:
    """On to a release that executes at once, with what became of it."""
    number, url = f"v{promotion.plan.version}", links.request(promotion.id)
    if promotion.state is State.DONE:
        return done(request, url, f"{success}: {number} is active in {NAMES[promotion.target]}.")
    why = f": {promotion.outcome}" if promotion.outcome else ""
    why = f", waiting: {promotion.waiting}" if promotion.waiting else why
    return done(request, url, f"Request {promotion.id} for {number} is {promotion.state.value}{why}.", "warn")


def _versions(ctx: Context, name: str, preview: Rollback) -> Group:
    assert preview.plan is not None  # noqa: S101 (asked by the caller)
    assert preview.returns is not None  # noqa: S101 (there is a plan)
    assert preview.leaves is not None  # noqa: S101 (there is a plan)
    with ctx.store.read() as view:
        leaves = view.pipelines.version(preview.leaves.version_id).number
    number = preview.plan.plan.version
    return Group(
        "Versions",
        "arrow",
        (
            Line(
                " will no longer be active in production; it needs a new run in UAT before it can be released again.",
                href=links.version(name, leaves),
                link=f"v{leaves}",
                unreviewed=preview.leaves.label is Label.UNREVIEWED,
            ),
            Line(
                " becomes active there again, as previously released:",
                href=links.version(name, number),
                link=f"v{number}",
                code=short(preview.plan.plan.spec_digest),
                unreviewed=preview.returns.label is Label.UNREVIEWED,
            ),
        ),
    )


def _data(plan: RollbackPlan, dagster: str | None, *, data: bool) -> tuple[Group, ...]:
    if not data:
        return (Group("Data", "table", (Line("Tables do not change; published data stays."),)),)
    tables = tuple(
        Line(f"{table.table} goes back from snapshot {table.base} to:", code=str(table.candidate))
        for table in plan.plan.tables
    )
    undone = tuple(_undone(one, dagster) for one in plan.undone[:_MOST])
    if len(plan.undone) > _MOST:
        undone = (*undone, Line(f"… and {len(plan.undone) - _MOST} more: drls rollback --data lists them all."))
    readers = tuple(
        Line(
            " reads these tables in production and may have read the removed data.", href=links.pipeline(one), link=one
        )
        for one in plan.consumers
    )
    return (
        Group(
            "Tables that go back", "table", tables or (Line("The release has published nothing: no table changes."),)
        ),
        Group(f"Publishes to be undone: {len(plan.undone)}", "cross", undone or (Line("None."),)),
        Group("Readers of these tables", "source", readers or (Line("No pipeline active in production."),)),
    )


def _undone(one: UndonePublish, dagster: str | None) -> Line:
    if one.run_id is None:
        return Line(f"{one.table}: written outside DRLS, snapshot", code=str(one.snapshot))
    partition = f", partition {one.partition}" if one.partition else ""
    _, carried, request = one.run_id.partition("promotion:")
    if carried and request.isdecimal():
        text = f" released {one.table}{partition}, snapshot"
        return Line(text, href=links.request(int(request)), link=f"Request {request}", code=str(one.snapshot))
    return Line(
        f"{one.table}{partition}, snapshot {one.snapshot}: of run",
        href=links.run(dagster, one.run_id) if dagster else "",
        code=one.run_id,
    )
