"""The lifecycle as a program asks it: that of the server at DRLS_URL, else of the store here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drls_dagster.errors import UsageError
from drls_dagster.notebooks.inside import refuse_inside
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from drls_dagster.lifecycle_client import Lifecycle


def environment_of(name: str) -> Environment:
    """Raises UsageError for a name that no environment has."""
    try:
        return Environment(name)
    except ValueError:
        known = ", ".join(one.value for one in Environment)
        raise UsageError(f"there is no environment {name!r}; name one of: {known}") from None


@contextmanager
def asked() -> Iterator[Lifecycle]:
    """As the owner of DRLS_TOKEN, or of the token that `drls login` kept. The first use makes the store here (L7)."""
    from drls_dagster.kept_tokens import keep_token, kept_token
    from drls_dagster.lifecycle_client import LocalLifecycle
    from drls_dagster.lifecycle_client.http import HttpLifecycle, refuse_in_the_clear
    from drls_dagster.lifecycle_client.opening import host, open_context, os_user
    from drls_dagster.maintenance.port import adapters_with_maintenance
    from drls_dagster.settings import load_settings

    refuse_inside("this function")
    settings = load_settings()
    client: Lifecycle
    if settings.url:
        refuse_in_the_clear(settings, settings.url)
        client = HttpLifecycle(settings.url, kept_token(settings), host=host())
    else:
        context = open_context(
            settings,
            adapters_with_maintenance(settings),
            lambda started: _keep(keep_token(settings, started.token.secret, starting=True)),
        )
        client = LocalLifecycle(context, kept_token(settings), host=host(), os_user=os_user())
    try:
        yield client
    finally:
        client.close()


def _keep(_: object) -> None:
    """The first Admin's token is in its file now; a library prints nothing."""
