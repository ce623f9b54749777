"""The lifecycle of a store that this process opened."""

from __future__ import annotations

from datetime import timedelta

from drls_dagster.lifecycle_client.interface import Lifecycle
from drls_dagster.lifecycle_client.local.audit import LocalAudit
from drls_dagster.lifecycle_client.local.environments import LocalEnvironments
from drls_dagster.lifecycle_client.local.people import LocalPeople
from drls_dagster.lifecycle_client.local.pipelines import LocalPipelines
from drls_dagster.lifecycle_client.local.promotions import LocalPromotions
from drls_dagster.lifecycle_client.local.session import Session
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import WayIn
from lifecycle.usecases.authenticate import authenticate
from lifecycle.usecases.context import Context
from lifecycle.usecases.sign_in import sign_in, sign_out
from lifecycle.usecases.tokens import Issued, issue_token


class LocalLifecycle(Lifecycle):
    """`host` and `os_user` go into the audit log (A4). Closing it closes the store."""

    def __init__(self, ctx: Context, token: str | None, *, host: str, os_user: str) -> None:
        self._ctx = ctx
        self._host = host
        session = Session(ctx, token, host=host, os_user=os_user)
        self.pipelines = LocalPipelines(session)
        self.promotions = LocalPromotions(session)
        self.environments = LocalEnvironments(session)
        self.people = LocalPeople(session)
        self.audit = LocalAudit(session)

    def sign_in(self, name: str, password: str, life: timedelta) -> Issued:
        opened = sign_in(self._ctx, name, password, self._host)
        try:
            known = authenticate(self._ctx, opened.secret, WayIn.CLI, host=self._host, kind=TokenKind.SESSION)
            name, every = f"drls on {self._host}", tuple(TokenScope)
            return issue_token(self._ctx, known.actor, name, scopes=every, life=life, within=known.scopes)
        finally:
            sign_out(self._ctx, opened.secret, self._host)

    def close(self) -> None:
        self._ctx.store.close()
