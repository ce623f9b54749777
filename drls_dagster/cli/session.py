"""`drls session`: evidence sessions, whose runs in QA and UAT are what a promotion rests on (D9)."""

from __future__ import annotations

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import environment_type, print_model
from drls_dagster.cli.output import json_option
from lifecycle.domain.environment import Environment


@click.group()
def session() -> None:
    """Start evidence sessions in QA and UAT."""


@session.command()
@click.argument("pipeline")
@click.option("--env", "environment", type=environment_type, required=True, help="qa or uat.")
@json_option
def new(pipeline: str, environment: Environment, as_json: bool) -> None:
    """Start a new evidence session: the next run in QA or UAT starts on fresh branches of production's data.

    Earlier runs there no longer count as evidence. Repeating this before that run changes nothing.
    """
    with lifecycle() as client:
        asked = client.environments.new_session(pipeline, environment)
    if as_json:
        print_model(asked)
        return
    click.echo(f"The next run of {pipeline} in {environment.label} starts evidence session {asked.id}.")


# The name that it had in 0.1.
refresh = click.Command("refresh", params=new.params, callback=new.callback, help=new.help, hidden=True)
