"""`drls login | logout | whoami`: whose token is in use."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import keep_token, lifecycle, token_file
from drls_dagster.cli.options import ask_secret, print_model, short_time
from drls_dagster.cli.output import json_option, print_json
from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.settings import load_settings

if TYPE_CHECKING:
    from drls_dagster.lifecycle_client.results import Me


@click.command()
@click.argument("name", required=False)
@click.option(
    "--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How long a password's token lives."
)
@json_option
def login(name: str | None, days: int, as_json: bool) -> None:
    """Sign in: with NAME and its password, or without NAME with a token.

    Password or token are asked for unseen, or read from standard input. The token is kept in DRLS_HOME, for
    you alone; DRLS_TOKEN goes before it.
    """
    if os.environ.get("DRLS_TOKEN"):
        raise UsageError("DRLS_TOKEN is set and goes before what login keeps; unset it first")
    settings = load_settings()
    with lifecycle() as client:
        secret = ask_secret(f"Password of {name}" if name else "Token")
        if not secret:
            raise UsageError("no password or token was given")
        token = client.sign_in(name, secret, timedelta(days=days)).secret if name else secret
    with lifecycle(token) as client:
        me = client.people.me()
    file = keep_token(settings, token)
    if as_json:
        print_model(me)
        return
    click.echo(f"You are {me.person.name}{_until(me)}; the token is in {file}.")


@click.command()
@click.option("--force", is_flag=True, help="Although there is no other way to sign in again.")
@json_option
def logout(force: bool, as_json: bool) -> None:
    """Forget the kept token. It stays valid: `drls token revoke` ends it."""
    file = token_file(load_settings())
    if not force and file.exists():
        _refuse_last_way_in()
    forgotten = file.exists()
    file.unlink(missing_ok=True)
    if as_json:
        print_json({"forgotten": forgotten})
        return
    click.echo("The token is forgotten." if forgotten else "Nobody was signed in.")


@click.command()
@json_option
def whoami(as_json: bool) -> None:
    """Show who you are, where, and what you may do."""
    with lifecycle() as client:
        me = client.people.me()
    if as_json:
        print_model(me)
        return
    person = me.person
    acting = f" (acts for {person.acts_for})" if person.acts_for else ""
    click.echo(f"{person.name}{acting}{_until(me)}")
    click.echo(f"store   {me.store}")
    click.echo(f"token   for {', '.join(scope.value for scope in me.scopes)}")
    for grant in person.grants:
        on = f"{grant.scope.value} {grant.scope_value}".strip()
        through = f", through team {grant.team}" if grant.team else ""
        click.echo(f"role    {grant.role.value} on {on}{through}")


def _refuse_last_way_in() -> None:
    """A token that works no more may always go."""
    from lifecycle.errors import Unauthorized

    try:
        with lifecycle() as client:
            me = client.people.me()
    except DrlsError as error:
        if isinstance(error.__cause__, Unauthorized):
            return
        raise
    if not me.can_return:
        raise DrlsError(
            f"{me.person.name} has no password and no other token, and could not sign in again; "
            f"set one with drls user password {me.person.name}, or use --force"
        )


def _until(me: Me) -> str:
    return f", until {short_time(me.expires_at)} UTC" if me.expires_at else ""
