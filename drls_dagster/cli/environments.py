"""`drls env | freeze | stop-runs`: what is active where, and what holds it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import (
    environment_type,
    key_option,
    moment_type,
    print_models,
    short_digest,
    short_time,
)
from drls_dagster.cli.output import json_option, print_json, print_table
from drls_dagster.errors import UsageError
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from drls_dagster.lifecycle_client import Lifecycle
    from lifecycle.domain.policy import HoldKind
    from lifecycle.domain.releases import TableThen
    from lifecycle.verbs.answers import HoldInfo

lift_option = click.option("--lift", is_flag=True, help="Lift it.")
hold_reason_option = click.option("--reason", default="", help="Reason, visible to everyone until it is lifted.")


@click.command()
@click.argument("environment", type=environment_type, required=False)
@click.option("--pipeline", metavar="NAME", help="Only this pipeline.")
@click.option("--at", type=moment_type, help="Show what was active at this time (UTC by default).")
@json_option
def env(environment: Environment | None, pipeline: str | None, at: datetime | None, as_json: bool) -> None:
    """Show which version is active where, and every freeze and stop.

    For production, also shows its tables: which snapshot, since when, and which run wrote it from which inputs.
    """
    with lifecycle() as client:
        active = client.environments.active(
            environment, pipeline=pipeline, at=at, tables=environment is Environment.PRODUCTION
        )
        holds = [one for one in client.environments.holds() if environment in (None, one.environment)]
    if as_json:
        print_json(
            {
                "active": [one.model_dump(mode="json") for one in active],
                "holds": [one.model_dump(mode="json") for one in holds],
            }
        )
        return
    print_table(
        ["environment", "pipeline", "version", "label", "approved by", "since", "digest"],
        [
            (
                one.environment.value,
                one.pipeline,
                one.version,
                one.label.value,
                ", ".join(one.approved_by) or "-",
                short_time(one.since),
                short_digest(one.digest),
            )
            for one in active
        ],
        right=["version"],
    )
    tables = [table for one in active for table in one.tables]
    if environment is Environment.PRODUCTION and tables:
        click.echo()
        print_table(
            ["table", "snapshot", "since", "written by", "from"],
            [_stood(table) for table in tables],
            right=["snapshot"],
        )
    for hold in holds:
        click.echo(f"{hold.kind.value} {hold.id}: {_scope(hold)}, {hold.reason} ({hold.set_by})")


def _stood(table: TableThen) -> tuple[str, ...]:
    """A row for people: `v2 in run 1f3c…` wrote the snapshot, `(request 7)` brought it here."""
    wrote = f"v{table.version} in run {table.run_id[:8]}" if table.run_id else "others" if table.snapshot else "-"
    brought = f" (request {table.request})" if table.request is not None else ""
    inputs = [one.told for one in table.inputs]
    since = short_time(table.since) or "never"
    return (table.table, str(table.snapshot or "-"), since, wrote + brought, ", ".join(inputs) or "-")


@click.command()
@click.argument("environment", type=environment_type)
@click.argument("pipeline", required=False)
@hold_reason_option
@lift_option
@key_option
@json_option
def freeze(
    environment: Environment, pipeline: str | None, reason: str, lift: bool, key: str | None, as_json: bool
) -> None:
    """Freeze an environment, or one pipeline in it: no promotion, demotion or rollback. Runs continue."""
    from lifecycle.domain.policy import HoldKind

    _hold(HoldKind.FREEZE, environment, pipeline, reason, lift, key, as_json)


@click.command("stop-runs")
@click.argument("environment", type=environment_type)
@click.argument("pipeline", required=False)
@hold_reason_option
@lift_option
@key_option
@json_option
def stop_runs(
    environment: Environment, pipeline: str | None, reason: str, lift: bool, key: str | None, as_json: bool
) -> None:
    """Stop runs in an environment, or of one pipeline in it: nothing starts, nothing publishes."""
    from lifecycle.domain.policy import HoldKind

    _hold(HoldKind.STOP, environment, pipeline, reason, lift, key, as_json)


def _hold(
    kind: HoldKind,
    environment: Environment,
    pipeline: str | None,
    reason: str,
    lift: bool,
    key: str | None,
    as_json: bool,
) -> None:
    with lifecycle() as client:
        known = _known(client, kind, environment, pipeline)
        if lift:
            changed = [client.environments.lift_hold(one.id) for one in known]
        elif not reason:
            raise UsageError(f"a {kind.value} needs --reason: people see it until it is lifted")
        else:
            changed = known or [client.environments.set_hold(kind, environment, pipeline, reason=reason, key=key)]
    if as_json:
        print_models(changed)
        return
    for one in changed:
        click.echo(f"{kind.value} {one.id} of {_scope(one)}: {'lifted' if one.lifted_at else one.reason}")
    if not changed:
        click.echo(f"There is no {kind.value} to lift.")


def _known(client: Lifecycle, kind: HoldKind, environment: Environment, pipeline: str | None) -> list[HoldInfo]:
    """What holds exactly this already: doing it again changes nothing."""
    return [
        one
        for one in client.environments.holds()
        if (one.kind, one.environment, one.pipeline) == (kind, environment, pipeline)
    ]


def _scope(hold: HoldInfo) -> str:
    return f"{hold.pipeline} in {hold.environment.label}" if hold.pipeline else hold.environment.label
