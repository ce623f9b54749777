"""Agents: accounts that act for one person, with exactly that person's rights and never more (A8)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from lifecycle.domain.credentials import AGENT_SCOPES, TokenKind, TokenScope
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor, Person, PersonKind
from lifecycle.errors import Conflict, Forbidden, Invalid, NotFound, Unauthorized
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.accounts import AGENT_NAME, NAME_LENGTH
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require_human
from lifecycle.usecases.parts.signed_tokens import Signed, made_with, sign_for_agent
from lifecycle.usecases.tokens import MAX_LIFE, Issued, TokenView, issue, list_tokens, living

MOST = 20


class AgentView(Frozen):
    """An agent of the caller: `name` is what they call it, `account` the account that history knows.

    `ended_at`: since when it does not act. `tokens` are the long ones that were issued to it and are valid.
    """

    name: str
    account: str
    created_at: datetime
    ended_at: datetime | None
    tokens: tuple[TokenView, ...]


def agent_token(ctx: Context, actor: Actor, agent: str, within: Collection[TokenScope]) -> Signed:
    """A token of 15 minutes for the caller's agent, made on demand, with what the caller showed as its end.

    Raises Forbidden for who is no person, shows a signed token, or has ended this agent.
    """
    with ctx.store.read() as view:
        known = view.people.agent(_person(view, actor).id, agent)
        made_with(view, actor)
    if known is None:
        with ctx.store.write(actor, "start_agent") as unit:
            _start(unit, _person(unit, actor), agent)
    scopes = tuple(scope.value for scope in TokenScope if scope in AGENT_SCOPES and scope in within)
    with ctx.store.read() as view:
        person = _person(view, actor)
        known = view.people.agent(person.id, agent)
        if known is None or known.disabled_at is not None:
            raise Forbidden(
                f"{agent} no longer acts for {person.name}; to start it again: drls token issue --agent {agent}"
            )
        return sign_for_agent(view, known, made_with(view, actor), scopes)


def issue_agent_token(
    ctx: Context,
    actor: Actor,
    agent: str,
    *,
    scopes: Sequence[TokenScope],
    life: timedelta,
    within: Collection[TokenScope],
    name: str = "",
    unattended: bool = False,
    key: str | None = None,
) -> Issued:
    """A token for the caller's agent, which is made on demand, or started again. It ends like one of the caller's own.

    `unattended`: the agent changes things without asking. The same `key` again raises Conflict, as for every secret.
    """
    if not timedelta(0) < life <= MAX_LIFE or not scopes:
        raise Invalid("a token needs at least one scope, and a lifetime of at most 366 days")
    if over := [scope.value for scope in TokenScope if scope in scopes and scope not in AGENT_SCOPES]:
        raise Forbidden(f"an agent's token is for read and write at most, never for {' or '.join(over)}")
    if wider := [scope.value for scope in TokenScope if scope in scopes and scope not in within]:
        raise Forbidden(f"the new token would have scopes yours does not have: {', '.join(wider)}")
    command = {"agent": agent, "scopes": [scope.value for scope in scopes], "life": str(life), "name": name}
    with ctx.store.write(actor, "issue_agent_token", key=key, command={**command, "unattended": unattended}) as unit:
        if unit.earlier(TokenView) is not None:
            raise Conflict(
                "this token was already issued and its secret is shown only once; revoke it and issue another"
            )
        person = _person(unit, actor)
        shown = living(unit, actor)
        if actor.signed:
            raise Forbidden("a signed token cannot issue tokens; use a personal token, or sign in")
        account = _start(unit, person, agent)
        source = shown if shown is not None and shown.kind is TokenKind.PERSONAL else None
        issued = issue(
            unit,
            account,
            TokenKind.PERSONAL,
            name.strip() or agent,
            scopes=tuple(scopes),
            life=life,
            issued_from=source,
            unattended=unattended,
        )
        kept = {**issued.model_dump(exclude={"secret"}), "kind": TokenKind.PERSONAL, "created_at": unit.now}
        unit.remember(TokenView.model_validate({**kept, "agent": agent, "unattended": unattended}))
        return issued


def end_agent(ctx: Context, actor: Actor, agent: str) -> AgentView:
    """Ends every token of the caller's agent, signed ones too; it gets none until the caller issues one again."""
    with ctx.store.write(actor, "end_agent") as unit:
        account = unit.people.agent(_person(unit, actor).id, agent)
        if account is None:
            raise NotFound(f"you have no agent {agent!r}; drls whoami shows yours")
        for token in unit.people.tokens(account.id):
            unit.people.end_token(token)
        if account.disabled_at is None:
            account = unit.people.change(account.id, disabled_at=unit.now)
            unit.audit("agent.ended", f"person:{account.name}")
        return _shown(account, ())


def list_agents(ctx: Context, actor: Actor) -> tuple[AgentView, ...]:
    """The caller's agents, those that have ended too."""
    tokens = list_tokens(ctx, actor)
    with ctx.store.read() as view:
        return tuple(
            _shown(one, [token for token in tokens if token.agent == one.agent])
            for one in view.people.agents(actor.person or 0)
        )


def _person(view: View, actor: Actor) -> Person:
    """Raises Unauthorized for nobody, Forbidden for who is no person: agents have no agents."""
    if actor.person is None:
        raise Unauthorized("an agent acts for a person; sign in with drls login")
    person = view.people.get(actor.person)
    if person.kind is PersonKind.SERVICE:
        behind = "a person" if person.acts_for is None else view.people.get(person.acts_for).name
        raise Forbidden(
            f"{person.name} is a service account, and only people have agents; {behind} can issue a token for this "
            f"program: drls token issue --agent NAME"
        )
    require_human(person, "having an agent")
    return person


def _start(unit: Unit, person: Person, agent: str) -> Person:
    """The account of a person's agent: new, or as it is, enabled."""
    known = unit.people.agent(person.id, agent)
    if known is not None and known.disabled_at is None:
        return known
    if not AGENT_NAME.fullmatch(agent):
        raise Invalid(f"{agent!r} is not a valid agent name; use up to 32 lower-case letters, digits and '-'")
    if sum(one.disabled_at is None for one in unit.people.agents(person.id)) >= MOST:
        raise Conflict(f"{MOST} agents act for {person.name} already; end one first, on your profile page")
    if known is not None:
        known = unit.people.change(known.id, disabled_at=None)
    else:
        known = unit.people.add(
            name=_free_name(unit, agent, person),
            kind=PersonKind.AGENT.value,
            display_name=f"{agent} for {person.display_name}",
            email=None,
            email_verified=False,
            password_hash=None,
            subject=None,
            acts_for=person.id,
            disabled_at=None,
            agent=agent,
        )
    unit.audit("agent.started", f"person:{known.name}", acts_for=person.name)
    return known


def _free_name(view: View, agent: str, person: Person) -> str:
    first = f"{agent}.{person.name}"[:NAME_LENGTH].rstrip("._-")
    taken = {one.name for one in view.people.all()}
    others = (f"{first[: NAME_LENGTH - 5]}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (first, *others) if name not in taken)


def _shown(account: Person, tokens: Sequence[TokenView]) -> AgentView:
    return AgentView(
        name=account.agent or account.name,
        account=account.name,
        created_at=account.created_at,
        ended_at=account.disabled_at,
        tokens=tuple(tokens),
    )
