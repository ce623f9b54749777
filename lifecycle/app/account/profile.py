"""The visitor's own page: account, password, sessions and personal tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from lifecycle.app.account.api import set_session
from lifecycle.app.kit import links
from lifecycle.app.kit.access_words import ROLE_MEANS, SCOPE_MEANS, grant_lines
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.secrets_once import shown_once
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.errors import Forbidden, Invalid, NotFound, Unauthorized
from lifecycle.usecases.accounts import MIN_PASSWORD
from lifecycle.usecases.agents import list_agents
from lifecycle.usecases.change_password import change_password
from lifecycle.usecases.tokens import issue_token, list_tokens, revoke_token
from lifecycle.verbs.inputs import Id

router = APIRouter()
Key = Annotated[str, Form(max_length=100)]


@router.get("/profile")
def profile(ctx: Ctx, request: Request, who: Who) -> Response:
    """Who the visitor is, and what is theirs."""
    tokens = list_tokens(ctx, who.actor)
    with ctx.store.read() as view:
        teams = {team.id: team.name for team in view.people.teams()}
        own = view.people.team_names(who.person.id)
        acts_for = view.people.get(who.person.acts_for).name if who.person.acts_for else None
    return render(
        request,
        "account/profile.html",
        person=who.person,
        acts_for=acts_for,
        grants=grant_lines(who.grants, teams),
        teams=own,
        roles=ROLE_MEANS,
        scopes=SCOPE_MEANS,
        tokens=[one for one in tokens if one.kind is TokenKind.PERSONAL and one.agent is None],
        agents=list_agents(ctx, who.actor),
        sessions=[one for one in tokens if one.kind is TokenKind.SESSION],
        here=who.actor.token,
        least=MIN_PASSWORD,
    )


@router.post("/profile/password")
def put_password(
    ctx: Ctx,
    request: Request,
    who: Who,
    password: Annotated[str, Form(max_length=1_000)],
    again: Annotated[str, Form(max_length=1_000)],
    old: Annotated[str, Form(max_length=1_000)] = "",
) -> Response:
    """Sets the visitor's password. All their sessions and tokens end; this browser gets a new session."""
    if password != again:
        raise Invalid("the two passwords do not match; type the new one twice")
    try:
        session = change_password(ctx, who.actor, old, password)
    except Unauthorized as error:
        # They are signed in all the same: the form says what is wrong.
        raise Forbidden(error.message) from None
    answer = done(request, links.profile(), "Password changed. All your other sessions and tokens have ended.")
    set_session(ctx, answer, session, secure=request.url.scheme == "https")
    return answer


@router.post("/profile/tokens")
def new_token(
    ctx: Ctx,
    request: Request,
    who: Who,
    key: Key,
    name: Annotated[str, Form(min_length=1, max_length=100)],
    days: Annotated[int, Form(ge=1, le=366)] = 30,
    scopes: Annotated[tuple[TokenScope, ...], Form(max_length=4)] = (),
) -> Response:
    """Issues a personal token; this answer is the only place that ever shows its secret."""
    life = timedelta(days=days)
    issued = issue_token(ctx, who.actor, name, scopes=scopes, life=life, within=who.scopes, key=key)
    return shown_once(
        request,
        what=f"Token {issued.name}",
        secret=issued.secret,
        until=issued.expires_at,
        back=links.profile(),
        hint="Pass it to a program as DRLS_TOKEN, or run drls login and paste it there.",
    )


@router.post("/profile/tokens/{token_id}/revoke")
def end_token(ctx: Ctx, request: Request, who: Who, token_id: Id) -> Response:
    """Ends one of the visitor's own tokens or sessions, or a token of an agent of theirs."""
    with ctx.store.read() as view:
        theirs = {who.person.id, *(one.id for one in view.people.agents(who.person.id))}
        if view.people.token(token_id).person_id not in theirs:
            raise NotFound(f"you have no token {token_id}")
    ended = revoke_token(ctx, who.actor, token_id)
    what = "Session ended." if ended.kind is TokenKind.SESSION else f"Token {ended.name} revoked."
    return done(request, links.profile(), what)
