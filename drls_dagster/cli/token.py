"""`drls token`: tokens for programs."""

from __future__ import annotations

from datetime import timedelta

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import number_type, print_model, print_models, short_time
from drls_dagster.cli.output import json_option, print_table
from lifecycle.domain.credentials import TokenScope


@click.group()
def token() -> None:
    """Issue, list and revoke tokens."""


@token.command("list")
@json_option
def list_tokens(as_json: bool) -> None:
    """List your valid tokens."""
    with lifecycle() as client:
        found = client.people.tokens()
    if as_json:
        print_models(found)
        return
    print_table(
        ["token", "kind", "name", "for", "issued", "expires"],
        [
            (
                one.id,
                one.kind.value,
                one.name,
                " ".join(scope.value for scope in one.scopes),
                short_time(one.created_at),
                short_time(one.expires_at),
            )
            for one in found
        ],
        right=["token"],
    )


@token.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in TokenScope]),
    default=["read"],
    show_default=True,
    help="Limit the token to this scope. Repeatable.",
)
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How long the token is valid.")
@click.option("--for", "owner", metavar="NAME", help="Issue it for this service account (Admin).")
@json_option
def issue(name: str, scopes: tuple[str, ...], days: int, owner: str | None, as_json: bool) -> None:
    """Issue a token called NAME. Its secret is shown only once."""
    with lifecycle() as client:
        issued = client.people.issue_token(
            name, scopes=[TokenScope(scope) for scope in scopes], life=timedelta(days=days), owner=owner
        )
    if as_json:
        print_model(issued)
        return
    click.echo(issued.secret)
    for_what = ", ".join(scope.value for scope in issued.scopes)
    click.echo(f"Token {issued.id} for {for_what}, until {short_time(issued.expires_at)} UTC.", err=True)


@token.command()
@click.argument("token_id", metavar="TOKEN", type=number_type)
@json_option
def revoke(token_id: int, as_json: bool) -> None:
    """Revoke a token: your own or, as an Admin, anyone's."""
    with lifecycle() as client:
        revoked = client.people.revoke_token(token_id)
    if as_json:
        print_model(revoked)
        return
    click.echo(f"Revoked token {revoked.id} ({revoked.name}).")
