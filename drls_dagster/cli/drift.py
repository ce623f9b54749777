"""`drls drift`: heads of governed tables that no run and no promotion explains (L15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import key_option, number_type, print_model, print_models, reason_option, short_time
from drls_dagster.cli.output import json_option, print_table

if TYPE_CHECKING:
    from lifecycle.verbs.answers import DriftInfo

drift_argument = click.argument("drift_id", metavar="DRIFT", type=number_type)


@click.group()
def drift() -> None:
    """List unexplained writes to governed tables and their files (drift), then adopt or revert them.

    A pipeline with open drift cannot be promoted.
    """


@drift.command("list")
@click.option("--pipeline", metavar="NAME", help="Only this pipeline.")
@json_option
def list_drifts(pipeline: str | None, as_json: bool) -> None:
    """List open drift."""
    with lifecycle() as client:
        found = [one for one in client.environments.drifts() if pipeline in (None, one.pipeline)]
    if as_json:
        print_models(found)
        return
    print_table(
        ["drift", "environment", "pipeline", "table", "ref", "snapshot", "found", "state", "file"],
        [
            (
                one.id,
                one.environment.value,
                one.pipeline,
                one.table,
                one.ref,
                None if one.found is None else str(one.found),
                short_time(one.found_at),
                f"{one.state}, waiting: {one.outcome}" if one.outcome else one.state,
                one.why or None,
            )
            for one in found
        ],
        right=["drift"],
    )


@drift.command()
@drift_argument
@reason_option
@key_option
@json_option
def adopt(drift_id: int, reason: str, key: str | None, as_json: bool) -> None:
    """Adopt an unexplained write. You, the lead, take responsibility for it.

    A compaction is first compared with the snapshot that it compacted, which may take minutes: if row counts or the
    values of a column differ, it is refused. A file that was overwritten is adopted as it is now.
    """
    _settle(drift_id, "adopt", reason, key, as_json)


@drift.command()
@drift_argument
@reason_option
@key_option
@json_option
def revert(drift_id: int, reason: str, key: str | None, as_json: bool) -> None:
    """Revert the table to what was last published. Anything written since is lost.

    The drift of a file closes when the file is restored, or production no longer needs it.
    """
    _settle(drift_id, "revert", reason, key, as_json)


def _settle(drift_id: int, how: Literal["adopt", "revert"], reason: str, key: str | None, as_json: bool) -> None:
    with lifecycle() as client:
        settled = client.environments.settle_drift(drift_id, how, reason=reason, key=key)
    _print(settled, as_json)


def _print(settled: DriftInfo, as_json: bool) -> None:
    if as_json:
        print_model(settled)
        return
    where = f"{settled.table} in {settled.environment.label}"
    waiting = f"; waiting: {settled.outcome}" if settled.outcome else ""
    click.echo(f"Drift {settled.id}, {where}: {settled.state}, {settled.reason}{waiting}")
