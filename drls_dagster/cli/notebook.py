"""`drls notebook`: your own notebook, in `drls up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import print_model, short_time
from drls_dagster.cli.output import json_option
from drls_dagster.settings import load_settings

if TYPE_CHECKING:
    from lifecycle.domain.notebooks import Notebook


@click.group()
def notebook() -> None:
    """Start and stop your notebook: code of your own on development tables, in a fence, at the address of drls up."""


@notebook.command()
@json_option
def start(as_json: bool) -> None:
    """Start your notebook and print where to open it. Repeating this changes nothing."""
    with lifecycle() as client:
        _show(client.notebooks.start(), as_json)


@notebook.command()
@json_option
def stop(as_json: bool) -> None:
    """Stop your notebook. Its files stay."""
    with lifecycle() as client:
        _show(client.notebooks.stop(), as_json)


@notebook.command()
@json_option
def status(as_json: bool) -> None:
    """Show whether your notebook runs, since when, and how much memory it has."""
    with lifecycle() as client:
        _show(client.notebooks.status(), as_json)


def _show(found: Notebook, as_json: bool) -> None:
    if as_json:
        print_model(found)
        return
    if found.started_at is None:
        why = f": {found.ended}" if found.ended else ""
        click.echo(f"Your notebook is stopped{why}.")
        return
    memory = f", {found.memory // 2**20} MB" if found.memory else ""
    click.echo(f"Your notebook runs since {short_time(found.started_at)}{memory}: {_address()}{found.path}")
    click.echo(f"Its files are in {found.folder}")


def _address() -> str:
    from drls_dagster.orchestrator.running_up import running_up

    settings = load_settings()
    up = running_up(settings)
    return (settings.url or (up.url if up else "")).rstrip("/")
