"""The first start: an Admin without a password, a token and a one-time link, the default policies (L7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import system_actor
from lifecycle.domain.roles import Role
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from lifecycle.usecases.set_policy import write_default_policies
from lifecycle.usecases.tokens import MAX_LIFE, Issued, issue

LINK_LIFE = timedelta(hours=1)


class FirstStart(Frozen):
    """What only the owner of the machine gets to see, once."""

    admin: str
    token: Issued
    link: Issued


def first_start(
    ctx: Context,
    keep: Callable[[FirstStart], None],
    *,
    admin: str = "admin",
    email: str | None = None,
    os_user: str = "",
) -> FirstStart | None:
    """Makes the first Admin; None when there are accounts already. Safe to call by several at once.

    `keep` puts the token where its owner finds it, before anything is committed: interrupted at any moment,
    either there is no account yet and the next start makes it, or there is one with a token that is kept.
    """
    with ctx.store.write(system_actor("first start", os_user=os_user), "first_start") as unit:
        if unit.people.all():
            return None
        person = unit.people.add(
            name=admin,
            kind="human",
            display_name=admin,
            email=email,
            email_verified=False,
            password_hash=None,
            subject=None,
            acts_for=None,
            disabled_at=None,
        )
        unit.people.add_grant(
            person_id=person.id,
            team_id=None,
            role=Role.ADMIN.value,
            scope="everything",
            scope_value="",
            granted_by=None,
            revoked_at=None,
        )
        write_default_policies(unit)
        rotate_secret(unit)
        unit.audit("person.added", f"person:{admin}", first=True)
        everything = tuple(TokenScope)
        started = FirstStart(
            admin=admin,
            token=issue(unit, person, TokenKind.PERSONAL, "first start", scopes=everything, life=MAX_LIFE),
            link=issue(unit, person, TokenKind.LINK, "first sign-in", scopes=everything, life=LINK_LIFE),
        )
        keep(started)
        return started
