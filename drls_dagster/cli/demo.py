"""`drls demo`: the flights example, from files to tables, and with its versions to production and back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.output import json_option, make_console, print_json, print_table
from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.settings import Settings, examples_folder, load_settings
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from drls_dagster.demo import Stage, Telling

PIPELINE = "flights/flights_daily.yaml"


@click.command()
@click.option("--quick", is_flag=True, help="Run the whole year once in development, without the walkthrough.")
@json_option
def demo(quick: bool, as_json: bool) -> None:
    """Walk a pipeline from a file to production: versions, approvals, refusals, publishes, a rollback.

    Uses its own pipeline and two accounts, and leaves the rest of DRLS_HOME unchanged.
    """
    settings = load_settings()
    (_run_once if quick else _tell)(settings, local_landing(settings), as_json)


def local_landing(settings: Settings) -> str:
    """The folder that the example's files go to. Raises DrlsError when it is not on this machine."""
    landing = settings.landing_for(Environment.DEVELOPMENT)
    if "://" in landing:
        raise DrlsError(f"the demo puts its files in a local folder, but the setting landing is {landing}; unset it")
    return landing


def example() -> Path:
    """The flights example's file."""
    return examples_folder() / PIPELINE


def _tell(settings: Settings, landing: str, as_json: bool) -> None:
    from filelock import FileLock, Timeout

    from drls_dagster.cli.lifecycle import adapters, kept_token, welcome
    from drls_dagster.demo import Telling, tell_story
    from drls_dagster.lifecycle_client.opening import open_context

    if settings.url:
        raise UsageError(f"the demo uses the store on this machine, but DRLS_URL is {settings.url}; unset it")
    telling = Telling(None if as_json else make_console())
    ctx = open_context(settings, adapters(), lambda started: welcome(settings, started))
    try:
        with FileLock(settings.home / "demo.lock", timeout=0):
            stage = tell_story(
                settings,
                ctx,
                kept_token(settings),
                example(),
                telling,
                lambda: prepare(settings, landing),
            )
    except Timeout:
        raise DrlsError(f"another drls demo is running in {settings.home}; wait until it finishes") from None
    finally:
        ctx.store.close()
        if as_json:
            print_json([vars(scene) for scene in telling.scenes])
    if not as_json:
        _sum_up(stage, telling)


def prepare(settings: Settings, landing: str) -> None:
    """Brings what the example's runs need: its files and the engine."""
    from drls_dagster.cli.demo_data import lay_out
    from drls_dagster.cli.run import start_engine

    lay_out(Path(landing))
    start_engine(settings)


def _sum_up(stage: Stage, telling: Telling) -> None:
    console = make_console()
    console.print(
        f"\n{len(telling.scenes)} scenes in {telling.seconds:.0f} s; promotions copied 0 bytes.", style="bold"
    )
    _what_next(
        (f"drls env production --pipeline {stage.name}", "what is active, and since when"),
        ("drls approvals list --all", "the requests and their outcomes"),
        ("drls audit log", "who did what"),
        (f"drls table show {stage.tables[0]}", "snapshots, branches, release tags"),
        ("drls up", "all of this in a browser: Dagster and the approvals app"),
    )


def _run_once(settings: Settings, landing: str, as_json: bool) -> None:
    began = time.monotonic()
    from drls_dagster.cli.demo_data import lay_out
    from drls_dagster.cli.run import run_pipeline, vars_of
    from drls_dagster.launch.find import find_pipeline

    lay_out(Path(landing))
    file = example()
    (outcome,), _ = run_pipeline(find_pipeline(str(file), settings), settings, partition="all", show=not as_json)
    total = time.monotonic() - began
    if as_json:
        print_json({**vars_of(outcome), "total_seconds": total})
    if not outcome.success:
        raise DrlsError(outcome.failure)
    if as_json:
        return
    _preview()
    console = make_console()
    console.print("\nwhere the time went", style="bold")
    steps = [(step.node, f"{step.seconds:.1f} s") for step in outcome.steps if step.seconds is not None]
    inside = sum(step.seconds or 0 for step in outcome.steps)
    rest = [
        ("run, outside the steps", f"{outcome.seconds - inside:.1f} s"),
        ("before the run: imports, data, engine", f"{total - outcome.seconds:.1f} s"),
        ("total", f"{total:.1f} s"),
    ]
    print_table(("step", "time"), [*steps, *rest], right=("time",))
    _what_next(
        ("drls run flights_daily --partition 2013-02", "one month"),
        ("drls run flights_daily --partition all --param min_flights=200", "another parameter"),
        ("drls table show flights__development.daily_delays", "snapshots, partitions, refs"),
        (f"DAGSTER_HOME={settings.home / 'dagster'} dagster dev -w workspace.yaml", "the graph, in Dagster"),
    )


def _what_next(*commands: tuple[str, str]) -> None:
    console = make_console()
    console.print("what to try next", style="bold")
    for command, why in commands:
        console.print(f"  {command}    # {why}", soft_wrap=True)


def _preview() -> None:
    from drls_dagster.lakehouse.catalog import load_catalog
    from drls_dagster.lakehouse.tables import find_table, preview

    console = make_console()
    found = find_table(load_catalog(), "flights.daily_delays", Environment.DEVELOPMENT)
    console.print(f"\n{found.name}", style="bold")
    _, rows = preview(found, limit=5)
    rounded = [
        [f"{value:.3f}" if isinstance(value, float) else value for value in row.values()] for row in rows.to_pylist()
    ]
    print_table(rows.column_names, rounded)
