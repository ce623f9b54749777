"""`drls explain`: why a run failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import print_model, short_time
from drls_dagster.cli.output import cell, json_option, print_table

if TYPE_CHECKING:
    from lifecycle.domain.explanation import Explanation


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
def explain(run_id: str, as_json: bool) -> None:
    """Explain why a run failed: the error, the first bad rows, what changed since the last good run, what to do."""
    with lifecycle() as client:
        found = client.runs.explain(run_id)
    if as_json:
        print_model(found)
        return
    click.echo(cell(found.summary))
    if found.said and found.said not in found.summary:
        click.echo(cell(found.said))
    _show_checks(found)
    if found.last_good is not None:
        ended = f", ended {short_time(found.last_good.ended)}" if found.last_good.ended else ""
        click.echo(f"Last good run: {found.last_good.run_id} of {found.last_good.version}{ended}")
        click.echo("Changed since:" if found.changed else "Nothing that DRLS records changed since.")
        for change in found.changed:
            click.echo(f"  {change.kind}: {cell(change.what)}")
    if found.todo:
        click.echo("What to do:")
        for number, step in enumerate(found.todo, 1):
            click.echo(f"  {number}. {cell(step)}")


def _show_checks(found: Explanation) -> None:
    for check in found.checks:
        kind = "check" if check.blocking else "warning"
        click.echo(f"{kind} {check.check} on {check.node}: {cell(check.message)}")
        if check.rows:
            print_table(check.columns, check.rows)
