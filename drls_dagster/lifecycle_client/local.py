"""The lifecycle of a store that this process opened: verbs run here."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from drls_dagster.lifecycle_client.calls import Lifecycle
from drls_dagster.lifecycle_client.way import Way
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import WayIn
from lifecycle.errors import Unauthorized
from lifecycle.spec import PipelineSpec
from lifecycle.store.schema import describe
from lifecycle.usecases.authenticate import Identity, authenticate
from lifecycle.usecases.change_password import change_password
from lifecycle.usecases.context import Context
from lifecycle.usecases.sign_in import sign_in, sign_out
from lifecycle.usecases.tokens import Issued, issue_token
from lifecycle.verbs import people
from lifecycle.verbs.table import row_of
from lifecycle.verbs.verb import Call, Verb


class LocalLifecycle(Lifecycle):
    """`token` None: nobody is signed in, and every call is refused. `host` and `os_user` go into the audit log (A4).

    Closing it closes the store.
    """

    def __init__(self, ctx: Context, token: str | None, *, host: str, os_user: str, way_in: WayIn = WayIn.CLI) -> None:
        super().__init__(LocalWay(ctx, token, host=host, os_user=os_user, way_in=way_in))


class LocalWay(Way):
    """Looks the owner of the token up anew for each call, or knows that nothing has changed since the last."""

    def __init__(self, ctx: Context, token: str | None, *, host: str, os_user: str, way_in: WayIn = WayIn.CLI) -> None:
        self._ctx = ctx
        self._way_in = way_in
        self._token = token
        self._host = host
        self._os_user = os_user

    def run(self, verb: Verb[..., Any], given: Mapping[str, Any]) -> Any:
        identity = self._identity()
        row_of(verb).asks.admit(identity)
        return verb.run(Call(self._ctx, identity.actor, identity.scopes), **given)

    def check(self) -> None:
        """Raises LifecycleError where the token is good for nothing, or no longer."""
        row_of(people.me).asks.admit(self._identity())

    @contextmanager
    def code(self, spec: PipelineSpec, search_path: Sequence[Path]) -> Generator[None]:
        before, self._ctx = self._ctx, replace(self._ctx, search_path=tuple(search_path))
        try:
            yield
        finally:
            self._ctx = before

    def here(self) -> dict[str, Any]:
        return {"store": describe(self._ctx.store.engine)}

    def sign_in(self, name: str, password: str, life: timedelta) -> Issued:
        with self._session(name, password) as known:
            every = tuple(TokenScope)
            return issue_token(
                self._ctx, known.actor, f"drls on {self._host}", scopes=every, life=life, within=known.scopes
            )

    def change_password(self, name: str, password: str, old: str | None) -> None:
        if old is None:
            ended = change_password(self._ctx, self._identity().actor, None, password)
        else:
            with self._session(name, old) as known:
                ended = change_password(self._ctx, known.actor, old, password)
        sign_out(self._ctx, ended.secret, self._host)

    def close(self) -> None:
        self._ctx.store.close()

    def _identity(self) -> Identity:
        """Raises Unauthorized when the token is missing, wrong, expired or revoked."""
        if self._token is None:
            raise Unauthorized("nobody is signed in; run: drls login")
        return authenticate(self._ctx, self._token, self._way_in, host=self._host, os_user=self._os_user)

    @contextmanager
    def _session(self, name: str, password: str) -> Generator[Identity]:
        """A session like a browser's, for as long as the context lasts."""
        opened = sign_in(self._ctx, name, password, self._host)
        try:
            yield authenticate(self._ctx, opened.secret, WayIn.CLI, host=self._host, kind=TokenKind.SESSION)
        finally:
            sign_out(self._ctx, opened.secret, self._host)
