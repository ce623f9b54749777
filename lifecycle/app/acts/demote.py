"""The page to demote a version: out of UAT, back to QA."""

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
from lifecycle.domain.environment import Environment
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Label
from lifecycle.usecases.demote_version import Demotion, demote_version, plan_demotion
from lifecycle.verbs.inputs import Name, Number

router = APIRouter()


@router.get("/pipelines/{name}/versions/{number}/demote")
def demote_page(ctx: Ctx, request: Request, who: Who, name: Name, number: Number) -> Response:
    """What demoting would do now, and the form."""
    plan = plan_demotion(ctx, who.actor, name, number)
    groups: tuple[Group, ...] = ()
    if plan.ends is not None:
        groups = (
            _deployments(plan, name),
            *ending_groups(ctx, plan.ending, kit_of(request).dagster),
            Group(
                "Data", "table", (Line(f"Production is not affected. What v{number} wrote stays on the branch uat."),)
            ),
            reload_group(Environment.UAT, Environment.QA),
        )
    act = Act(
        title=f"Demote {name} v{number}",
        lead="Takes the version out of UAT, for example because its evidence shows something wrong.",
        crumbs=pipeline_crumbs(name, number),
        groups=groups,
        buttons=(
            Button(
                links.demote(name, number),
                f"Demote v{number}",
                plan.checks,
                hint="What is wrong with the version? Everyone can read this.",
            ),
        ),
        who=who_can(ctx, Role.LEAD, name),
        role=Role.LEAD,
        source=Environment.UAT,
        target=Environment.QA,
    )
    return render(request, "acts/act.html", act=act)


@router.post("/pipelines/{name}/versions/{number}/demote")
def demote(
    ctx: Ctx, request: Request, who: Who, name: Name, number: Number, reason: Reason = "", key: Key = None
) -> Response:
    """Demotes."""
    demote_version(ctx, who.actor, name, number, reason=reason, key=key)
    return done(request, links.pipeline(name), f"{name} v{number} was demoted: it is no longer active in UAT.")


def _deployments(plan: Demotion, name: str) -> Group:
    number = plan.version.number
    unreviewed = plan.ends is not None and plan.ends.label is Label.UNREVIEWED
    leaves = Line(f"v{number} will no longer be active in UAT; nothing replaces it.", unreviewed=unreviewed)
    if plan.in_qa is None:
        then = Line(f"QA is free, so v{number} becomes active there again, with fresh branches at its next run.")
    elif plan.in_qa.number == number:
        then = Line(f"v{number} stays active in QA.")
    else:
        then = Line(" stays active in QA.", href=links.version(name, plan.in_qa.number), link=f"v{plan.in_qa.number}")
    return Group("Versions", "arrow", (leaves, then))
