"""Who plays: Ada and Grace, with accounts of their own, and the Admin whose token this home keeps."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from drls_dagster.lifecycle_client.local import LocalLifecycle
from drls_dagster.lifecycle_client.opening import host, os_user
from lifecycle.domain.people import ScopeKind
from lifecycle.domain.roles import Role

if TYPE_CHECKING:
    from lifecycle.usecases.context import Context
    from lifecycle.usecases.tokens import Issued
    from lifecycle.verbs.answers import PersonInfo

# Marks the accounts that are the demo's own: others of the same name are left alone.
_DISPLAY = {"ada": "Ada, of drls demo", "grace": "Grace, of drls demo"}
_LIFE = timedelta(hours=2)


@dataclass(frozen=True)
class Cast:
    """The lifecycle as each of them sees it. Ada and Grace may act on the demo's own pipeline alone."""

    admin: LocalLifecycle
    ada: LocalLifecycle
    grace: LocalLifecycle
    ada_name: str
    grace_name: str


@contextmanager
def cast(ctx: Context, token: str | None, pipeline: str) -> Iterator[Cast]:
    """Accounts that lead `pipeline`, signed in; their tokens end with the story, their passwords nobody knows.

    Raises Forbidden or Unauthorized where `token` is not an Admin's.
    """
    admin = _client(ctx, token)
    names = [_account(admin, role) for role in _DISPLAY]
    issued: list[Issued] = []
    try:
        for name in names:
            admin.people.grant(Role.LEAD, person=name, scope=ScopeKind.PIPELINE, scope_value=pipeline)
            given, own = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
            admin.people.set_password(name, given)
            # Whoever acts under a password that an Admin gave counts as that Admin (L6).
            first = admin.sign_in(name, given, _LIFE)
            _client(ctx, first.secret).people.set_password(name, own, old=given)
            issued.append(admin.sign_in(name, own, _LIFE))
        ada, grace = (_client(ctx, one.secret) for one in issued)
        yield Cast(admin, ada, grace, *names)
    finally:
        for one in issued:
            admin.people.revoke_token(one.id)


def _client(ctx: Context, token: str | None) -> LocalLifecycle:
    return LocalLifecycle(ctx, token, host=host(), os_user=os_user())


def _account(admin: LocalLifecycle, role: str) -> str:
    """The name of the demo's account for a role, made unless an earlier demo left it."""
    known = {person.name: person for person in admin.people.list()}
    number = 1
    while True:
        name = f"demo-{role}" if number == 1 else f"demo-{role}-{number}"
        if name not in known:
            return admin.people.add(name, display_name=_DISPLAY[role]).name
        if _is_ours(known[name], role):
            return name
        number += 1


def _is_ours(person: PersonInfo, role: str) -> bool:
    return person.display_name == _DISPLAY[role] and person.disabled_at is None
