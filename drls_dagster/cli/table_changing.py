"""What the commands that change a table by hand share: their options, the plan, and what they print."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from drls_dagster.cli.options import key_option, print_model
from drls_dagster.cli.output import cell, json_option
from drls_dagster.cli.table_asking import environment_option
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from drls_dagster.lifecycle_client import Lifecycle
    from lifecycle.domain.evolution import Change, TableChange

F = TypeVar("F", bound=Callable[..., Any])

accept_option = click.option(
    "--accept-untraced", is_flag=True, help="Trust that deployed code that is no SQL does not use the column."
)


@dataclass(frozen=True)
class How:
    """The options that every such command has."""

    environment: Environment | None
    reason: str
    plan: bool
    key: str | None
    as_json: bool


def how_options(command: F) -> F:
    """Gives a command `--env`, `--reason`, `--plan`, `--key` and `--json`."""
    for option in (
        json_option,
        key_option,
        click.option("--plan", is_flag=True, help="Show what would change without changing anything."),
        click.option("--reason", default="", help="Reason, visible in the audit log. Required for production."),
        environment_option,
    ):
        command = option(command)
    return command


def carry_out(
    name: str,
    change: Change,
    how: dict[str, Any],
    act: Callable[[Lifecycle, dict[str, Any]], TableChange],
    *,
    accept_untraced: bool | None = None,
) -> None:
    """Plans the change or makes it, and prints what it is. `accept_untraced` None: no column goes."""
    from drls_dagster.cli.lifecycle import lifecycle

    given = How(how["environment"], how["reason"], how["plan"], how["key"], how["as_json"])
    more = {} if accept_untraced is None else {"accept_untraced": accept_untraced}
    with lifecycle() as client:
        if given.plan:
            found = client.evolution.plan(name, change, environment=given.environment, **more)
        else:
            options = {"environment": given.environment, "reason": given.reason, "key": given.key, **more}
            found = act(client, options)
    if given.as_json:
        print_model(found)
    else:
        _print(found)


def _print(found: TableChange) -> None:
    if not found.lines:
        click.echo(f"{found.table} is already like this; nothing was changed.")
    for line in found.lines:
        click.echo(cell(f"{found.table}: {line}"))
    for warning in found.warnings if found.lines else ():
        click.echo(cell(f"note: {warning}"), err=True)
    for use in found.uses:
        click.echo(cell(f"used: {use.words}"), err=True)
    for why in found.refused:
        click.echo(cell(f"refused: {why}"))
    if found.lines and not found.done:
        click.echo(f"Nothing was changed. Plan {found.digest}")
    elif found.done:
        click.echo("Done.")
