"""The page to retire a version: out of production, and nothing takes its place."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from lifecycle.app.acts.act_view import (
    Act,
    Button,
    Group,
    Key,
    Line,
    Reason,
    ending_groups,
    listed,
    pipeline_crumbs,
    reload_group,
    who_can,
)
from lifecycle.app.kit import links
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.render import kit_of, render
from lifecycle.app.kit.request import Ctx
from lifecycle.domain.environment import Environment
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Label
from lifecycle.usecases.retire_version import plan_retirement, retire_version
from lifecycle.verbs.inputs import Name, Number

router = APIRouter()


@router.get("/pipelines/{name}/versions/{number}/retire")
def retire_page(ctx: Ctx, request: Request, who: Who, name: Name, number: Number) -> Response:
    """What retiring would do now, who reads its tables, and the form."""
    plan = plan_retirement(ctx, who.actor, name, number)
    groups: tuple[Group, ...] = ()
    if plan.ends is not None:
        unreviewed = plan.ends.label is Label.UNREVIEWED
        leaves = (
            Line(f"v{number} will no longer be active in production; nothing replaces it.", unreviewed=unreviewed),
            Line("No schedules or runs start there. A rollback cannot restore it; a promotion can."),
        )
        groups = (
            Group("Versions", "arrow", leaves),
            _readers(plan.consumers),
            *ending_groups(ctx, plan.ending, kit_of(request).dagster),
            Group("Tables that stay", "table", (Line(f"{listed(plan.tables)}: unchanged, and no longer updated."),)),
            reload_group(Environment.PRODUCTION),
        )
    act = Act(
        title=f"Retire {name} v{number}",
        lead="Ends the pipeline in production. Its versions and their history stay.",
        crumbs=pipeline_crumbs(name, number),
        groups=groups,
        buttons=(
            Button(
                links.retire(name, number),
                f"Retire v{number}",
                plan.checks,
                hint="Why is it no longer needed? Everyone can read this.",
                consent=f"{listed(plan.consumers)} may continue to read tables that are no longer written"
                if plan.consumers
                else "",
            ),
        ),
        who=who_can(ctx, Role.LEAD, name),
        role=Role.LEAD,
        source=Environment.PRODUCTION,
    )
    return render(request, "acts/act.html", act=act)


@router.post("/pipelines/{name}/versions/{number}/retire")
def retire(
    ctx: Ctx,
    request: Request,
    who: Who,
    name: Name,
    number: Number,
    reason: Reason = "",
    consent: Annotated[str, Form(max_length=10)] = "",
    key: Key = None,
) -> Response:
    """Retires."""
    retire_version(ctx, who.actor, name, number, reason=reason, consent=consent == "yes", key=key)
    return done(request, links.pipeline(name), f"{name} v{number} was retired: it is no longer active in production.")


def _readers(consumers: tuple[str, ...]) -> Group:
    lines = tuple(Line(" reads its tables in production.", href=links.pipeline(one), link=one) for one in consumers)
    return Group("Readers of its tables", "source", lines or (Line("No pipeline active in production."),))
