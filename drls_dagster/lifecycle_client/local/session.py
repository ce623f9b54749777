"""Who acts: the owner of the token, looked up anew for each command."""

from __future__ import annotations

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.environment import Role
from lifecycle.domain.people import Actor, Target, WayIn
from lifecycle.errors import Forbidden, Unauthorized
from lifecycle.store.unit import View
from lifecycle.usecases.authenticate import Identity, authenticate
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require


class Session:
    """A token on a store. `token` None: nobody is signed in, and every command is refused."""

    def __init__(self, ctx: Context, token: str | None, *, host: str = "", os_user: str = "") -> None:
        self.ctx = ctx
        self.host = host
        self._token = token
        self._os_user = os_user

    def identity(self) -> Identity:
        """Raises Unauthorized when the token is missing, wrong, expired or revoked."""
        if self._token is None:
            raise Unauthorized("nobody is signed in; run: drls login")
        return authenticate(self.ctx, self._token, WayIn.CLI, host=self.host, os_user=self._os_user)

    def acting(self, scope: TokenScope) -> Actor:
        """The actor. Raises Forbidden when the token was not issued for `scope`."""
        identity = self.identity()
        if scope not in identity.scopes:
            has = ", ".join(sorted(identity.scopes)) or "nothing"
            raise Forbidden(f"this token is for {has}, not for {scope.value}; sign in with one that is: drls login")
        return identity.actor

    def require(self, view: View, role: Role, doing: str) -> None:
        """Raises Forbidden unless the person has `role` on the whole installation."""
        require(view, self.acting(TokenScope.READ), role, Target(), doing)
