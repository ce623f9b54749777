"""A link that signs somebody in once, for who has no password yet or has lost it."""

from __future__ import annotations

from datetime import timedelta

from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import Actor, Target
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict
from lifecycle.usecases.accounts import require_sign_in
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require
from lifecycle.usecases.tokens import Issued, TokenView, issue

LIFE = timedelta(days=1)


def issue_link(ctx: Context, actor: Actor, name: str, *, key: str | None = None) -> Issued:
    """An Admin's act. The secret goes behind the # of /sign-in, where no server sees it; it lives for a day.

    The same `key` again raises Conflict: the secret is nowhere kept.
    """
    with ctx.store.write(actor, "issue_link", key=key, command={"name": name}) as unit:
        if unit.earlier(TokenView) is not None:
            raise Conflict("this link was already created and is shown only once; create another")
        require(unit, actor, Role.ADMIN, Target(), "creating a sign-in link")
        person = unit.people.named(name)
        require_sign_in(person)
        if person.disabled_at is not None:
            raise Conflict(f"the account {name} is disabled; nobody can sign in with it")
        issued = issue(unit, person, TokenKind.LINK, "sign-in link of an Admin", scopes=tuple(TokenScope), life=LIFE)
        unit.remember(TokenView.model_validate({**_kept(issued), "created_at": unit.now, "kind": TokenKind.LINK}))
        return issued


def _kept(issued: Issued) -> dict[str, object]:
    return issued.model_dump(exclude={"secret"})
