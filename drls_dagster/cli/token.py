"""`drls token`: tokens for programs."""

from __future__ import annotations

from datetime import timedelta

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import number_type, print_model, print_models, short_time
from drls_dagster.cli.output import json_option, print_table
from drls_dagster.errors import UsageError
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
        ["token", "kind", "name", "agent", "for", "issued", "expires"],
        [
            (
                one.id,
                one.kind.value,
                one.name,
                f"{one.agent}, unattended" if one.unattended else one.agent,
                " ".join(scope.value for scope in one.scopes),
                short_time(one.created_at),
                short_time(one.expires_at),
            )
            for one in found
        ],
        right=["token"],
    )


@token.command()
@click.argument("name", required=False)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in TokenScope]),
    help="Limit the token to this scope. Repeatable.  [default: read; with --unattended also write]",
)
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How long the token is valid.")
@click.option("--for", "owner", metavar="NAME", help="Issue it for this service account (Admin).")
@click.option(
    "--agent",
    metavar="AGENT",
    help="Issue it for an agent that acts for you, such as claude. Only for read and write.",
)
@click.option("--unattended", is_flag=True, help="Let the agent change things without asking you to confirm.")
@json_option
def issue(
    name: str | None,
    scopes: tuple[str, ...],
    days: int,
    owner: str | None,
    agent: str | None,
    unattended: bool,
    as_json: bool,
) -> None:
    """Issue a token called NAME. Its secret is shown only once."""
    if agent is not None and owner is not None:
        raise UsageError("a token is for an agent or for a service account; pass --agent or --for")
    if unattended and agent is None:
        raise UsageError("--unattended is for agents; pass --agent")
    if name is None and agent is None:
        raise UsageError("name the token")
    # Who changes things without asking changes things.
    wanted = scopes or (("read", "write") if unattended else ("read",))
    given, life = [TokenScope(scope) for scope in wanted], timedelta(days=days)
    with lifecycle() as client:
        if agent is not None:
            issued = client.people.issue_agent_token(
                agent, scopes=given, life=life, name=name or "", unattended=unattended
            )
        else:
            issued = client.people.issue_token(name or "", scopes=given, life=life, owner=owner)
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
