"""`drls engine`: the warm Spark-on-Ray engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from drls_dagster.cli.output import in_words, json_option, print_json
from drls_dagster.settings import load_settings


@click.group()
def engine() -> None:
    """Start, stop and inspect the Spark-on-Ray engine."""


@engine.command()
def start() -> None:
    """Start the engine if it is not running. The first start takes up to a minute."""
    from drls_dagster.engine.client import ensure_engine

    settings = load_settings()
    began = time.monotonic()
    with progress("engine") as report:
        state = ensure_engine(settings, report)
    click.echo(f"The engine is running as process {state.pid} ({time.monotonic() - began:.0f} s).")


@engine.command()
@click.option("--force", is_flag=True, help="Stop it even if runs are using it; those runs fail.")
def stop(force: bool) -> None:
    """Stop the engine."""
    from drls_dagster.engine.client import stop as stop_engine

    stopped = stop_engine(load_settings(), force=force)
    click.echo("Engine stopped." if stopped else "No engine is running.")


@engine.command()
@json_option
def status(as_json: bool) -> None:
    """Show the engine's state, users and memory."""
    from drls_dagster.engine.client import status as engine_status
    from drls_dagster.engine.processes import proportional_memory
    from drls_dagster.engine.state import read_state

    settings = load_settings()
    told = engine_status(settings)
    state = read_state(settings)
    memory = proportional_memory(state.engine_id) if state and told.state in {"running", "starting"} else None
    if as_json:
        print_json({**vars(told), "memory_bytes": memory})
        return
    click.echo(f"{told.state}: {told.detail}")
    if told.since is not None and told.pid is not None:
        minutes = (time.time() - told.since) / 60
        click.echo(f"process {told.pid}, for {minutes:.0f} min, {told.users} user(s), {in_words(memory)} of memory")


@engine.command()
@click.option("--lines", "-n", default=50, show_default=True, type=click.IntRange(1, 100_000))
def logs(lines: int) -> None:
    """Print the last lines of the engine's logs."""
    from drls_dagster.engine.state import folder

    for name in ("driver.log", "runner.log"):
        path = folder(load_settings()) / name
        if path.exists():
            click.echo(f"== {path}")
            click.echo("".join(path.read_text(errors="replace").splitlines(keepends=True)[-lines:]))


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """Shows what is being waited for: a moving line on a terminal, a line each elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda detail: console.print(f"{what}: {detail}", markup=False, highlight=False)
        return
    with console.status(f"{what} …") as status:
        yield lambda detail: status.update(f"{what}: {detail} …")
