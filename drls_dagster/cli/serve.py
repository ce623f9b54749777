"""`drls serve`: the approvals app and REST, for everybody who has no access to DRLS_HOME."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import adapters, welcome
from drls_dagster.errors import UsageError
from drls_dagster.settings import Settings, load_settings

if TYPE_CHECKING:
    from lifecycle.app.openid import OpenIdSettings

SWITCH_SECONDS = 0.0005


def openid(settings: Settings) -> OpenIdSettings | None:
    """The OpenID Connect provider that the settings name. Raises UsageError naming what cannot be."""
    from pydantic import SecretStr, ValidationError

    from drls_dagster.secret_source import read_secret
    from lifecycle.app.openid import OpenIdSettings
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


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65_535))
def serve(host: str, port: int) -> None:
    """Serve the approvals app and REST over the store here until Ctrl-C; /api/openapi.json describes it.

    It speaks HTTP: put a proxy that speaks TLS in front of it before others use it over a network.
    """
    import sys

    import uvicorn

    from drls_dagster.lifecycle_client.opening import open_context
    from lifecycle.app.site import create_site

    settings = load_settings()
    provider = openid(settings)
    context = open_context(settings, adapters(), lambda started: welcome(settings, started))
    app = create_site(context, provider)
    # Requests are short: one that is being answered must not keep the others waiting for 5 ms at each step.
    sys.setswitchinterval(SWITCH_SECONDS)
    click.echo(f"DRLS is at http://{host}:{port}", err=True)
    try:
        uvicorn.run(app, host=host, port=port, log_level="warning", lifespan="off", ws="none")
    finally:
        context.store.close()
