"""`drls team`: groups of people, for grants and quorums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import key_option, print_model, print_models
from drls_dagster.cli.output import json_option, print_table
from drls_dagster.cli.user import describe_grants, grant_role, on_option, role_argument

if TYPE_CHECKING:
    from lifecycle.verbs.answers import TeamInfo


@click.group()
def team() -> None:
    """Create teams, add people to them, grant them roles."""


@team.command("list")
@json_option
def list_teams(as_json: bool) -> None:
    """List teams with their members and roles."""
    with lifecycle() as client:
        found = client.people.teams()
    if as_json:
        print_models(found)
        return
    print_table(
        ["name", "members", "grants"],
        [(one.name, " ".join(one.members), describe_grants(one.grants)) for one in found],
    )


@team.command()
@click.argument("name")
@key_option
@json_option
def add(name: str, key: str | None, as_json: bool) -> None:
    """Add a team."""
    with lifecycle() as client:
        added = client.people.add_team(name, key=key)
    _print(added, as_json)


@team.command()
@click.argument("name")
@click.argument("person")
@json_option
def join(name: str, person: str, as_json: bool) -> None:
    """Add a person to a team."""
    with lifecycle() as client:
        changed = client.people.set_member(name, person, member=True)
    _print(changed, as_json)


@team.command()
@click.argument("name")
@click.argument("person")
@json_option
def leave(name: str, person: str, as_json: bool) -> None:
    """Remove a person from a team."""
    with lifecycle() as client:
        changed = client.people.set_member(name, person, member=False)
    _print(changed, as_json)


@team.command()
@click.argument("name")
@role_argument
@on_option
@key_option
@json_option
def grant(name: str, role: str, on: str | None, key: str | None, as_json: bool) -> None:
    """Grant a team a role. It applies to everything, or with --on to a tag or a pipeline."""
    grant_role(role, on, key, as_json, team=name)


def _print(team_info: TeamInfo, as_json: bool) -> None:
    if as_json:
        print_model(team_info)
        return
    click.echo(f"team {team_info.name}: {' '.join(team_info.members) or 'no members'}")
