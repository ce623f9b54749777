"""`drls login | logout | whoami`: whose token is in use."""

from __future__ import annotations

import os
from datetime import timedelta

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import ask_secret, print_model
from drls_dagster.cli.output import json_option, print_json
from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.kept_tokens import (
    forget_token,
    is_for_another_store,
    keep_token,
    store_of_token,
    token_file,
)
from drls_dagster.settings import load_settings

force_option = click.option(
    "--force", is_flag=True, help="Go ahead even if the saved token is its owner's only way in."
)


@click.command()
@click.argument("name", required=False)
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    default=30,
    show_default=True,
    help="How long the token issued for a password is valid.",
)
@force_option
@json_option
def login(name: str | None, days: int, force: bool, as_json: bool) -> None:
    """Sign in with NAME and a password, or without NAME with a token.

    You are prompted for the password or token; it can also be piped through standard input. The token is saved in
    DRLS_HOME, readable only by you. DRLS_TOKEN takes precedence over it.
    """
    if os.environ.get("DRLS_TOKEN"):
        raise UsageError("DRLS_TOKEN is set and takes precedence over a saved token; unset it first")
    settings = load_settings()
    with lifecycle() as client:
        secret = ask_secret(f"Password of {name}" if name else "Token")
        if not secret:
            raise UsageError("no password or token given")
        token = client.sign_in(name, secret, timedelta(days=days)).secret if name else secret
    with lifecycle(token) as client:
        me = client.people.me()
    if not force:
        _refuse_last_way_in(but=me.name)
    file = keep_token(settings, token)
    if as_json:
        print_model(me)
        return
    click.echo(f"Signed in as {me.name}; the token is in {file}.")


@click.command()
@force_option
@json_option
def logout(force: bool, as_json: bool) -> None:
    """Delete the saved token. It stays valid until you revoke it with `drls token revoke`."""
    if not force:
        _refuse_last_way_in()
    forgotten = forget_token(load_settings())
    if as_json:
        print_json({"forgotten": forgotten})
        return
    click.echo("Signed out; the saved token is deleted." if forgotten else "You were not signed in.")


@click.command()
@json_option
def whoami(as_json: bool) -> None:
    """Show who you are, which store you use, and what you may do."""
    with lifecycle() as client:
        me = client.people.me()
    if as_json:
        print_model(me)
        return
    click.echo(me.name)
    if me.agent:
        alone = ", without asking before it changes things" if me.unattended else ""
        click.echo(f"agent   {me.agent}, acts for {me.acts_for}{alone}")
    elif me.acts_for:
        click.echo(f"service acts for {me.acts_for}")
    click.echo(f"store   {me.store}")
    click.echo(f"token   for {', '.join(scope.value for scope in me.scopes)}")
    for title, values in (("role", me.roles), ("team", me.teams)):
        for value in values:
            click.echo(f"{title:<7} {value}")


def _refuse_last_way_in(but: str | None = None) -> None:
    """Raises DrlsError when the kept token is all that its owner has, unless that is `but`, who has a new one.

    A token that works no more may always go; whether one for another store still works cannot be seen here.
    """
    from lifecycle.errors import Unauthorized

    settings = load_settings()
    file = token_file(settings)
    if not file.exists():
        return
    if is_for_another_store(settings):
        raise DrlsError(
            f"{file} holds a token for {store_of_token(settings)}, which may be the only way into it; use "
            "another DRLS_HOME for this store, move that file, or pass --force"
        )
    try:
        with lifecycle(file.read_text().strip()) as client:
            me = client.people.me()
    except Unauthorized:
        return
    if not me.can_return and me.name != but:
        raise DrlsError(
            f"{me.name} has no password and no other token, and could not sign in again; set a password with "
            f"drls user password {me.name}, or pass --force"
        )
