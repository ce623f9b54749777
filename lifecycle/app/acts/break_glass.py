"""The page to break the glass: an unreviewed release in an emergency."""

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
from lifecycle.app.acts.rollback import came_of
from lifecycle.app.kit import links
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.render import kit_of, render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.words import NAMES, exact
from lifecycle.domain.environment import Environment
from lifecycle.usecases.break_glass import Emergency, break_glass, plan_break_glass
from lifecycle.verbs.inputs import Name, Number

router = APIRouter()
GOVERNED = tuple(environment for environment in Environment if environment.governed)


@router.get("/pipelines/{name}/versions/{number}/break-glass")
def break_glass_page(
    ctx: Ctx,
    request: Request,
    who: Who,
    name: Name,
    number: Number,
    target: Annotated[Environment, Query()] = Environment.PRODUCTION,
) -> Response:
    """What breaking the glass means and would do now, and the form."""
    if target not in GOVERNED:
        target = Environment.PRODUCTION
    plan = plan_break_glass(ctx, who.actor, name, number, target)
    url = links.break_glass(name, number)
    act = Act(
        title=f"Break the glass: {name} v{number}",
        lead=(
            "Deploys the version immediately, without approval. For emergencies when you cannot wait for an approver."
        ),
        warning="The release stays marked unreviewed everywhere, and all notification receivers are informed.",
        crumbs=pipeline_crumbs(name, number),
        groups=(
            _versions(plan, name),
            _review(plan),
            *ending_groups(ctx, plan.ending, kit_of(request).dagster),
            Group(
                "Data", "table", (Line(f"No data is carried over: {NAMES[target]}'s next run is the version's first."),)
            ),
            reload_group(target),
        ),
        buttons=(
            Button(
                url,
                f"Deploy v{number} to {NAMES[target]} unreviewed",
                plan.checks,
                hint="What is the emergency? Reviewers will start from this.",
                hidden={"target": target.value},
            ),
        ),
        who=who_can(ctx, plan.role, name, number),
        role=plan.role,
        choices=tuple(Choice(NAMES[one], f"{url}?target={one.value}", one is target) for one in GOVERNED),
        target=target,
    )
    return render(request, "acts/act.html", act=act)


@router.post("/pipelines/{name}/versions/{number}/break-glass")
def deploy_unreviewed(
    ctx: Ctx,
    request: Request,
    who: Who,
    name: Name,
    number: Number,
    target: Annotated[Environment, Form()],
    reason: Reason = "",
    key: Key = None,
) -> Response:
    """Breaks the glass."""
    released = break_glass(ctx, who.actor, name, number, target, reason=reason, key=key)
    return came_of(request, released, "Unreviewed")


def _versions(plan: Emergency, name: str) -> Group:
    where = NAMES[plan.target]
    number = plan.version.number
    comes = Line(f"v{number} becomes active in {where}, regardless of its runs and checks.", unreviewed=True)
    if plan.replaces is None:
        return Group("Versions", "arrow", (comes, Line(f"Nothing is currently active in {where}.")))
    before = plan.replaces.number
    goes = Line(" is superseded; a rollback can restore it.", href=links.version(name, before), link=f"v{before}")
    if plan.target is not Environment.PRODUCTION:
        goes = Line(" is superseded.", href=links.version(name, before), link=f"v{before}")
    return Group("Versions", "arrow", (comes, goes))


def _review(plan: Emergency) -> Group:
    due = f"The review is due by {exact(plan.review_due)}." if plan.review_due else ""
    lines = (
        Line("Freezes, freeze windows and soak time do not block it."),
        Line(f"Someone independent must review it later. {due}".strip()),
    )
    return Group("Approval", "shield", lines)
