"""OpenID Connect: signing in with an account of another provider, by configuration."""

from __future__ import annotations

from lifecycle.app.account.openid.provider import Attempt, OpenIdProvider
from lifecycle.app.account.openid.settings import CALLBACK, OpenIdSettings

__all__ = ["CALLBACK", "Attempt", "OpenIdProvider", "OpenIdSettings"]
