"""`drls status`: environments × pipelines × versions × last run × drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import environment_type, short_time
from drls_dagster.cli.output import json_option, print_json, print_table
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment
from lifecycle.usecases.loaded import DRAFT

if TYPE_CHECKING:
    from drls_dagster.orchestrator.last_runs import LastRun
    from lifecycle.verbs.answers import Active, DriftInfo


@click.command()
@click.argument("environment", type=environment_type, required=False)
@json_option
def status(environment: Environment | None, as_json: bool) -> None:
    """Show which versions are active where, their last runs, and anything that needs attention.

    The last run is the active version's newest run in the Dagster of DRLS_HOME; in development it can be a draft's.
    Drift is a deployed version that is not loaded, or an unexplained write. Stopped sensors that maintain the
    installation are listed first.
    """
    from drls_dagster.fences.facts import fence_facts
    from drls_dagster.orchestrator.last_runs import last_runs
    from drls_dagster.orchestrator.running_up import running_up
    from drls_dagster.orchestrator.stopped import stopped_sensors

    settings = load_settings()
    with lifecycle() as client:
        active = client.environments.active(environment)
        drifts = [one for one in client.environments.drifts() if environment in (None, one.environment)]
        troubles = client.environments.troubles()
        loaded = {one: client.environments.loaded(one) for one in {each.environment for each in active}}
    # As a plan does, beyond development: runs of the version that is active, not of the one before.
    runs = last_runs(
        settings,
        {
            (one.environment.value, one.pipeline): one.digest
            if one.environment is not Environment.DEVELOPMENT
            else None
            for one in active
        },
    )
    rows = [
        _row(
            one,
            runs.get((one.environment.value, one.pipeline)),
            loaded[one.environment],
            [drift for drift in drifts if (drift.environment, drift.pipeline) == (one.environment, one.pipeline)],
        )
        for one in active
    ]
    up = running_up(settings)
    stopped = stopped_sensors(settings)
    fence = None if settings.url else fence_facts(settings)
    if as_json:
        failed = [one.model_dump(mode="json") for one in troubles]
        told = fence and fence.model_dump(mode="json")
        print_json({"up": up and up.url, "stopped": list(stopped), "fence": told, "active": rows, "troubles": failed})
        return
    click.echo(_up_line(settings, up and up.url))
    for line in stopped:
        click.secho(f"{line}.", fg="red", bold=True)
    if fence is not None and not fence.kind.holds:
        click.secho(f"Pipeline code has no fence on this machine: {fence.detail}.", fg="yellow")
    for trouble in troubles:
        click.echo(f"Failing since {short_time(trouble.since)} UTC, and being retried: {trouble}")
    if not rows:
        where = f"in {environment.label}" if environment else "anywhere"
        click.echo(
            f"Nothing is active {where}; save a version with drls pipeline save FILE to make it active in development."
        )
        return
    print_table(
        ["environment", "pipeline", "version", "label", "last run", "ended", "drift"],
        [
            (
                row["environment"],
                row["pipeline"],
                row["version"],
                row["label"],
                row["last_run"] and row["last_run"]["state"],
                row["last_run"] and short_time(row["last_run"]["ended"]),
                "; ".join(row["drift"]) or None,
            )
            for row in rows
        ],
        right=["version"],
    )


def _row(one: Active, run: LastRun | None, loaded: Any, drifts: list[DriftInfo]) -> dict[str, Any]:
    found = [
        f"{drift.table}: {drift.why} (drift {drift.id})"
        if drift.file
        else f"{drift.ref} of {drift.table} was written by others (drift {drift.id})"
        for drift in drifts
    ]
    # An unsaved file is loaded in its author's development on purpose.
    if loaded is not None and loaded.get(one.pipeline) not in (one.digest, DRAFT):
        found.append("another version is loaded" if one.pipeline in loaded else "it is not loaded")
    return {
        "environment": one.environment.value,
        "pipeline": one.pipeline,
        "version": one.version,
        "digest": one.digest,
        "label": one.label.value,
        "since": one.since,
        "last_run": run and vars(run),
        "drift": found,
    }


def _up_line(settings: Settings, url: str | None) -> str:
    if settings.url:
        return f"The store is at {settings.url}."
    return (
        f"drls up is running at {url}." if url else "drls up is not running here: schedules and sensors start nothing."
    )
