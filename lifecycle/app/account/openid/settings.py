"""What an installation knows about its OpenID Connect provider."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from lifecycle.addresses import is_protected
from lifecycle.domain.model import Frozen
from lifecycle.usecases.openid_accounts import AccountRule

CALLBACK = "/api/session/oidc/callback"


class OpenIdSettings(Frozen):
    """`issuer` as the provider writes it, `public_url` as browsers reach this server.

    The provider must know `public_url` + CALLBACK as a redirect URI. `client_secret` None: a public client,
    which PKCE alone protects.
    """

    issuer: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    public_url: str
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    accounts: AccountRule = AccountRule.KNOWN

    @field_validator("issuer", "public_url")
    @classmethod
    def _is_protected(cls, url: str) -> str:
        if not is_protected(url):
            raise ValueError("write an https:// address; http:// works only for loopback")
        return url

    @property
    def redirect_uri(self) -> str:
        return self.public_url.rstrip("/") + CALLBACK
