"""`drls logs`: what every process of this home wrote, in one place."""

from __future__ import annotations

import time

import click

from drls_dagster.errors import UsageError
from drls_dagster.settings import load_settings

LOOK_SECONDS = 0.5


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "-n",
    "--lines",
    default=20,
    show_default=True,
    type=click.IntRange(0, 10_000),
    help="Number of lines from the end of each log.",
)
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines until Ctrl-C.")
def logs(names: tuple[str, ...], lines: int, follow: bool) -> None:
    """Print the logs of drls up and the engine, or only those NAMES, for example web, daemon or engine."""
    from drls_dagster.logs import Follower, last_lines, log_files

    settings = load_settings()
    files = log_files(settings)
    unknown = sorted(set(names) - files.keys())
    if unknown:
        there = ", ".join(files) or "none yet: nothing has been started"
        raise UsageError(f"there is no log {unknown[0]} in {settings.home}; available: {there}")
    chosen = {name: file for name, file in files.items() if not names or name in names}
    if not chosen:
        click.echo(f"nothing has been started in {settings.home} yet", err=True)
        return
    width = max(len(name) for name in chosen)
    followed = {name: Follower(file) for name, file in chosen.items()}
    for name, file in chosen.items():
        for line in last_lines(file, lines):
            click.echo(f"{name:>{width}} │ {line}")
    while follow:
        time.sleep(LOOK_SECONDS)
        for name, log in followed.items():
            for line in log.lines():
                click.echo(f"{name:>{width}} │ {line}")
