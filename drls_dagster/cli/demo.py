"""`drls demo`: a year of real flights through Spark, Ray and Iceberg, in one command."""

from __future__ import annotations

import time
from pathlib import Path

import click

from drls_dagster.cli.output import json_option, make_console, print_json, print_table
from drls_dagster.errors import DrlsError
from drls_dagster.settings import examples_folder, load_settings

PIPELINE = "flights/flights_daily.yaml"


@click.command()
@json_option
def demo(as_json: bool) -> None:
    """Run the flights example: 336,776 departures, two tables, ten checks."""
    began = time.monotonic()
    from drls_dagster.cli.demo_data import lay_out
    from drls_dagster.cli.run import run_pipeline, vars_of
    from drls_dagster.launch import find_pipeline

    settings = load_settings()
    landing = settings.landing_for("development")
    if "://" in landing:
        raise DrlsError(f"the demo lays its files into a local folder, and landing is {landing}; unset it")
    lay_out(Path(landing))
    file = examples_folder() / PIPELINE
    (outcome,) = run_pipeline(find_pipeline(str(file), settings), settings, partition="all", show=not as_json)
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
        ("run, outside of steps", f"{outcome.seconds - inside:.1f} s"),
        ("before the run: imports, data, engine", f"{total - outcome.seconds:.1f} s"),
        ("in all", f"{total:.1f} s"),
    ]
    print_table(("step", "time"), [*steps, *rest], right=("time",))
    console.print("what to try next", style="bold")
    for command, why in (
        ("drls run flights_daily --partition 2013-02", "one month"),
        ("drls run flights_daily --partition all --param min_flights=200", "another parameter"),
        ("drls table show flights__development.daily_delays", "snapshots, partitions, refs"),
        (f"DAGSTER_HOME={settings.home / 'dagster'} dagster dev -w workspace.yaml", "the graph, in Dagster"),
    ):
        console.print(f"  {command}    # {why}", soft_wrap=True)


def _preview() -> None:
    from drls_dagster.lakehouse.catalog import load_catalog
    from drls_dagster.lakehouse.tables import find_table, preview

    console = make_console()
    found = find_table(load_catalog(), "flights.daily_delays", "development")
    console.print(f"\n{found.name}", style="bold")
    _, rows = preview(found, limit=5)
    rounded = [
        [f"{value:.3f}" if isinstance(value, float) else value for value in row.values()]
        for row in rows.to_pylist()
    ]
    print_table(rows.column_names, rounded)
