"""How people sign in: the OpenID Connect provider of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.errors import UsageError
from drls_dagster.settings import Settings

if TYPE_CHECKING:
    from lifecycle.app.account.openid import OpenIdSettings


def openid(settings: Settings) -> OpenIdSettings | None:
    """The OpenID Connect provider that the settings name. Raises UsageError naming what cannot be."""
    from pydantic import SecretStr, ValidationError

    from drls_dagster.secret_source import read_secret
    from lifecycle.app.account.openid import OpenIdSettings
    from lifecycle.usecases.openid_accounts import AccountRule

    given = settings.oidc
    if given is None:
        return None
    secret = read_secret("oidc.client_secret", given.client_secret) if given.client_secret else None
    try:
        return OpenIdSettings(
            issuer=given.issuer,
            client_id=given.client_id,
            client_secret=SecretStr(secret) if secret else None,
            public_url=given.public_url,
            accounts=AccountRule(given.accounts),
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UsageError(f"oidc.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None
