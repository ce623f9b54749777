"""The composition root: gives the commands a lifecycle."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from drls_dagster.errors import UsageError
from drls_dagster.kept_tokens import keep_token, kept_token
from drls_dagster.settings import Settings, load_settings

if TYPE_CHECKING:
    from drls_dagster.lifecycle_client import Adapters, Lifecycle
    from lifecycle.usecases.first_start import FirstStart


@contextmanager
def lifecycle(token: str | None = None) -> Iterator[Lifecycle]:
    """The lifecycle, asked as the owner of `token`, of DRLS_TOKEN, or of the token that `drls login` kept.

    It is that of the server at DRLS_URL, else of the store here, which the first use makes with its first Admin.
    """
    settings = load_settings()
    client = _connect(settings, token)
    try:
        yield client
    finally:
        client.close()


def _connect(settings: Settings, token: str | None) -> Lifecycle:
    from drls_dagster.lifecycle_client.opening import host, open_context, os_user

    if settings.url:
        from drls_dagster.lifecycle_client.http import HttpLifecycle, refuse_in_the_clear

        refuse_in_the_clear(settings, settings.url)
        return HttpLifecycle(settings.url, token or kept_token(settings), host=host())
    from drls_dagster.lifecycle_client import LocalLifecycle

    ctx = open_context(settings, adapters(), lambda started: welcome(settings, started))
    return LocalLifecycle(ctx, token or kept_token(settings), host=host(), os_user=os_user())


def adapters() -> Adapters:
    """What the caller of the command line gave, else this home's catalog and its Dagster."""
    from drls_dagster.lifecycle_client import Adapters
    from drls_dagster.maintenance.port import adapters_with_maintenance
    from drls_dagster.notebooks.port import KeptNotebooks

    given = click.get_current_context().find_object(Adapters)
    if given is not None:
        return given
    settings = load_settings()
    return replace(adapters_with_maintenance(settings), notebooks=KeptNotebooks(settings))


def welcome(settings: Settings, started: FirstStart) -> None:
    """Keeps the first Admin's token and says so, once."""
    file = keep_token(settings, started.token.secret, starting=True)
    click.echo(f"First start: you are {started.admin}, an Admin. Your token is in {file}.", err=True)


def own_public_key() -> tuple[str, ...]:
    """The key that this installation's signatures are checked with; none where there never was a first start."""
    from drls_dagster.lifecycle_client.opening import signing_key_file
    from lifecycle.audit import load_signing_key

    file = signing_key_file(load_settings())
    if not file.exists():
        return ()
    return (load_signing_key(file).public,)


def checked_keys(keys: Sequence[str]) -> Sequence[str]:
    """Public keys that somebody typed. Raises UsageError for anything else."""
    if any(re.fullmatch("[0-9a-f]{64}", key) is None for key in keys):
        raise UsageError("a public key is 64 hexadecimal digits, as printed by `drls audit anchor`")
    return keys
