"""The agents that act for the visitor: issuing one a token, ending one, ending all."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from lifecycle.app.kit import links
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.secrets_once import shown_once
from lifecycle.domain.credentials import TokenScope
from lifecycle.usecases.agents import end_agent, issue_agent_token, list_agents
from lifecycle.verbs.inputs import AgentName

router = APIRouter()


@router.post("/profile/agents")
def new_token(
    ctx: Ctx,
    request: Request,
    who: Who,
    key: Annotated[str, Form(max_length=100)],
    agent: Annotated[str, Form(min_length=1, max_length=32)],
    days: Annotated[int, Form(ge=1, le=366)] = 30,
    writes: Annotated[bool, Form()] = False,
    unattended: Annotated[bool, Form()] = False,
) -> Response:
    """Issues a token to an agent of the visitor; this answer is the only place that ever shows its secret."""
    issued = issue_agent_token(
        ctx,
        who.actor,
        agent.strip(),
        scopes=(TokenScope.READ, TokenScope.WRITE) if writes else (TokenScope.READ,),
        life=timedelta(days=days),
        within=who.scopes,
        unattended=unattended,
        key=key,
    )
    return shown_once(
        request,
        what=f"Token for {issued.name}",
        secret=issued.secret,
        until=issued.expires_at,
        back=links.profile(),
        hint="Pass it to the agent as DRLS_TOKEN. It acts for you, and never approves.",
    )


@router.post("/profile/agents/end")
def end_all(ctx: Ctx, request: Request, who: Who) -> Response:
    """Ends every agent of the visitor."""
    names = [one.name for one in list_agents(ctx, who.actor) if one.ended_at is None]
    for name in names:
        end_agent(ctx, who.actor, name)
    return done(request, links.profile(), "All your agents have ended.")


@router.post("/profile/agents/{agent}/end")
def end_one(ctx: Ctx, request: Request, who: Who, agent: AgentName) -> Response:
    """Ends an agent of the visitor."""
    end_agent(ctx, who.actor, agent)
    return done(request, links.profile(), f"{agent} no longer acts for you.")
