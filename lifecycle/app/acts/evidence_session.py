"""The page that asks for a new evidence session: fresh branches in QA or UAT."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from lifecycle.app.acts.act_view import (
    Act,
    Button,
    Group,
    Line,
    environment_crumbs,
    request_group,
    who_can,
)
from lifecycle.app.kit import links
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.words import NAMES, exact
from lifecycle.domain.environment import Environment
from lifecycle.domain.roles import Role
from lifecycle.domain.run import SessionState
from lifecycle.usecases.start_run import Renewal, new_session, plan_session
from lifecycle.verbs.inputs import Name

router = APIRouter()


@router.get("/environments/{environment}/session/{name}")
def session_page(ctx: Ctx, request: Request, who: Who, environment: Environment, name: Name) -> Response:
    """What a new session would do now, and the form."""
    plan = plan_session(ctx, who.actor, name, environment)
    where = NAMES[environment]
    asked = plan.session is not None and plan.session.state is SessionState.PENDING
    act = Act(
        title=f"New evidence session of {name} in {where}",
        lead=(f"The next run starts on fresh branches of production's data, not on what earlier runs left in {where}."),
        crumbs=environment_crumbs(environment),
        groups=(
            *_groups(plan, where),
            request_group(
                ctx, "Requests that keep their evidence", plan.pinned, none="No open request relies on this session."
            ),
        ),
        buttons=(
            Button(
                links.evidence_session(environment, name),
                "Start a new session",
                plan.checks,
                danger=False,
                asks_reason=False,
            ),
        ),
        who=who_can(ctx, Role.DATA_ENGINEER, name),
        role=Role.DATA_ENGINEER,
        target=environment,
        warning="The next run already starts a new session; nothing else to do." if asked else "",
    )
    return render(request, "acts/act.html", act=act)


@router.post("/environments/{environment}/session/{name}")
def renew(ctx: Ctx, request: Request, who: Who, environment: Environment, name: Name) -> Response:
    """Asks; asking twice is asking once, as long as that run has not come."""
    session = new_session(ctx, who.actor, name, environment)
    told = f"The next run of {name} in {NAMES[environment]} starts evidence session {session.id}."
    return done(request, links.environment(environment), told)


def _groups(plan: Renewal, where: str) -> tuple[Group, ...]:
    session = plan.session
    if session is None:
        return ()
    opened = f"started on {exact(session.opened_at)}" if session.opened_at else "not started yet"
    published = "1 publish" if plan.receipts == 1 else f"{plan.receipts} publishes"
    now = Line(f"Session {session.id}: {opened}, with {published}.")
    lost = Line("Once that run starts, it no longer counts as evidence for new requests.")
    tables = tuple(
        Line(f"{table} started at:", code=str(base) if base is not None else "an empty table")
        for table, base in sorted(session.bases.items())
    )
    data = Line(f"Data written by runs in {where} leaves the branch; production and its data are not affected.")
    return (Group("Current session", "shield", (now, *tables, lost)), Group("Data", "table", (data,)))
