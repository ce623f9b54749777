"""`drls notebook`: your own notebook, in `drls up`, and notebooks as pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import key_option, print_model, short_time
from drls_dagster.cli.output import json_option
from drls_dagster.cli.pipeline_save import print_version
from drls_dagster.errors import UsageError
from drls_dagster.settings import load_settings

if TYPE_CHECKING:
    from lifecycle.domain.notebooks import Notebook


@click.group()
def notebook() -> None:
    """Start and stop your notebook: code of your own on development tables, in a fence, at the address of drls up.

    Save the marked cells of a notebook as a pipeline.
    """


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


@notebook.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The name of the pipeline.")
@click.option("-m", "--message", default="", help="Describe what changed in this version.")
@click.option("--dry-run", is_flag=True, help="Print the pipeline file, check it, and save nothing.")
@key_option
@json_option
def save(file: Path, name: str, message: str, dry_run: bool, key: str | None, as_json: bool) -> None:
    """Save the marked cells of a notebook as a version of a pipeline, active in development.

    A cell that begins with # drls: source, sql or ray is a node. The notebook is read, not run.
    """
    from drls_dagster.notebooks.files import read_notebook

    text = read_notebook(file)
    with lifecycle() as client:
        if not dry_run:
            print_version(client.notebooks.save(name, text, message=message, key=key), as_json)
            return
        made = client.notebooks.pipeline(name, text)
    if as_json:
        print_model(made)
    else:
        click.echo(made.definition, nl=False)
        for hint in made.checked.hints:
            click.echo(f"{file}: advice: {hint}", err=True)
    if not made.checked.valid:
        raise UsageError("\n".join(f"{file}: {flaw}" for flaw in made.checked.problems))


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
