"""`drls user`: accounts and their grants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import ask_secret, key_option, number_type, print_model, print_models
from drls_dagster.cli.output import json_option, print_json, print_table
from drls_dagster.errors import UsageError
from lifecycle.domain.roles import Role

if TYPE_CHECKING:
    from lifecycle.verbs.answers import GrantInfo, PersonInfo

role_argument = click.argument("role", type=click.Choice([role.value for role in Role]))
on_option = click.option(
    "--on",
    metavar="KEY=VALUE|PIPELINE",
    help="Only pipelines with this tag, or only this pipeline. Default: everything.",
)


@click.group()
def user() -> None:
    """Add accounts, grant roles, set passwords."""


@user.command("list")
@json_option
def list_users(as_json: bool) -> None:
    """List accounts with their teams and roles."""
    with lifecycle() as client:
        found = client.people.list()
    if as_json:
        print_models(found)
        return
    print_table(
        ["name", "kind", "e-mail", "acts for", "teams", "grants", "state"],
        [
            (
                one.name,
                one.kind.value,
                one.email,
                one.acts_for,
                " ".join(one.teams),
                describe_grants(one.grants),
                "disabled" if one.disabled_at else "",
            )
            for one in found
        ],
    )


@user.command()
@click.argument("name")
@click.option("--display-name", default="", help="The name people see.")
@click.option("--email", help="Email address. Two accounts with the same verified address count as one person.")
@click.option("--verified", is_flag=True, help="Mark the address as verified: you know that it is this person's.")
@click.option("--acts-for", metavar="NAME", help="Create a service account that acts for this person.")
@key_option
@json_option
def add(
    name: str,
    display_name: str,
    email: str | None,
    verified: bool,
    acts_for: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Add an account. It can do nothing until it is granted a role."""
    if verified and email is None:
        raise UsageError("--verified needs an address; pass it with --email")
    with lifecycle() as client:
        added = client.people.add(
            name, display_name=display_name, email=email, email_verified=verified, acts_for=acts_for, key=key
        )
    _print_person(added, as_json)


@user.command()
@click.argument("name")
@role_argument
@on_option
@key_option
@json_option
def grant(name: str, role: str, on: str | None, key: str | None, as_json: bool) -> None:
    """Grant a role. It applies to everything, or with --on to a tag or a pipeline."""
    grant_role(role, on, key, as_json, person=name)


@user.command("revoke")
@click.argument("grant_id", metavar="GRANT", type=number_type)
@json_option
def revoke_grant(grant_id: int, as_json: bool) -> None:
    """Revoke a grant of a person or team. `user list` and `team list` show grant numbers."""
    with lifecycle() as client:
        revoked = client.people.revoke_grant(grant_id)
    if as_json:
        print_model(revoked)
        return
    click.echo(f"Revoked: {describe_grant(revoked)}")


@user.command()
@click.argument("name")
@json_option
def password(name: str, as_json: bool) -> None:
    """Set your password or, as an Admin, someone else's. Revokes every token of the account, including the one in use.

    To change your own, enter the current password first, if you have one. You are prompted for both; they can also be
    piped through standard input, one per line.
    """
    with lifecycle() as client:
        me = client.people.me()
        old = ask_secret(f"Current password of {name}") if me.name == name and me.has_password else None
        client.people.set_password(name, ask_secret(f"New password of {name}"), old=old)
    if as_json:
        print_json({"name": name, "password": "set"})
        return
    click.echo(f"Password of {name} set. Sign in with: drls login {name}")


@user.command()
@click.argument("name")
@click.argument("subject", metavar="ISSUER|SUBJECT")
@json_option
def link(name: str, subject: str, as_json: bool) -> None:
    """Let someone sign in as NAME through the OpenID Connect provider.

    Their first sign-in is refused with a message that says what to pass here.
    """
    with lifecycle() as client:
        linked = client.people.link(name, subject)
    _print_person(linked, as_json)


@user.command()
@click.argument("name")
@json_option
def disable(name: str, as_json: bool) -> None:
    """Disable an account. Its tokens stop working; history keeps its name."""
    with lifecycle() as client:
        disabled = client.people.disable(name)
    _print_person(disabled, as_json)


def grant_role(
    role: str, on: str | None, key: str | None, as_json: bool, *, person: str | None = None, team: str | None = None
) -> None:
    """Grants and prints; the same grant again is the one that is there."""
    from lifecycle.domain.people import ScopeKind

    scope = ScopeKind.EVERYTHING if on is None else ScopeKind.TAG if "=" in on else ScopeKind.PIPELINE
    with lifecycle() as client:
        holders = client.people.list() if person else client.people.teams()
        held = next((one.grants for one in holders if one.name == (person or team)), ())
        wanted = (Role(role), scope, on or "", None if person else team)
        known = next((one for one in held or () if (one.role, one.scope, one.scope_value, one.team) == wanted), None)
        added = known or client.people.grant(
            Role(role), person=person, team=team, scope=scope, scope_value=on or "", key=key
        )
    if as_json:
        print_model(added)
        return
    click.echo(f"{person or f'team {team}'}: {describe_grant(added)}")


def describe_grant(grant: GrantInfo) -> str:
    """A grant in one line, with the number that revokes it."""
    on = "" if not grant.scope_value else f" on {grant.scope_value}"
    through = f" (team {grant.team})" if grant.team else ""
    return f"{grant.id}: {grant.role.value}{on}{through}"


def describe_grants(grants: Sequence[GrantInfo] | None) -> str:
    """Grants in one line, or that they are not for everybody to see."""
    return "for Admins only" if grants is None else ", ".join(map(describe_grant, grants))


def _print_person(person: PersonInfo, as_json: bool) -> None:
    if as_json:
        print_model(person)
        return
    acting = f", acts for {person.acts_for}" if person.acts_for else ""
    state = ", disabled" if person.disabled_at else ""
    click.echo(f"{person.name}, {person.kind.value}{acting}{state}")
