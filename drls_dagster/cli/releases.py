"""`drls demote | retire | rollback`: a version leaves an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import Ref, active_number, key_option, print_model, reason_option, ref_type
from drls_dagster.cli.output import json_option, print_table
from drls_dagster.cli.requests import print_plan, report
from drls_dagster.errors import UsageError
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from lifecycle.usecases.rollback_release import RollbackPlan
    from lifecycle.verbs.answers import Active


@click.command()
@click.argument("version", type=ref_type)
@reason_option
@key_option
@json_option
def demote(version: Ref, reason: str, key: str | None, as_json: bool) -> None:
    """Take a version out of UAT. It returns to QA if QA is free."""
    with lifecycle() as client:
        number = active_number(client, version, Environment.UAT)
        ended = client.environments.demote(version.name, number, reason=reason, key=key)
    _print_ended(ended, as_json)


@click.command()
@click.argument("version", type=ref_type)
@reason_option
@click.option("--consent", is_flag=True, help="Retire it even if active pipelines read its tables.")
@key_option
@json_option
def retire(version: Ref, reason: str, consent: bool, key: str | None, as_json: bool) -> None:
    """Take a version out of production without replacing it."""
    with lifecycle() as client:
        number = active_number(client, version, Environment.PRODUCTION)
        ended = client.environments.retire(version.name, number, reason=reason, consent=consent, key=key)
    _print_ended(ended, as_json)


@click.command()
@click.argument("name")
@click.option("--reason", default="", help="Reason, visible to everyone.")
@click.option("--plan", "plan_only", is_flag=True, help="Show the plan without changing anything.")
@click.option("--data", is_flag=True, help="Roll back the tables as well. Requires --consent.")
@click.option(
    "--consent", metavar="DIGEST", help="The digest of the plan that rolls back data, as shown by --plan --data."
)
@key_option
@json_option
def rollback(
    name: str, reason: str, plan_only: bool, data: bool, consent: str | None, key: str | None, as_json: bool
) -> None:
    """Roll production back to its previous release: code only, or with --data the tables as well."""
    if consent is not None and not data:
        raise UsageError("--consent needs --data: a code-only rollback undoes no data")
    with lifecycle() as client:
        if plan_only:
            _print_rollback(client.environments.plan_rollback(name, data=data), as_json)
            return
        done = client.environments.rollback(name, reason=reason, data=data, consent=consent, key=key)
    report(done, as_json)


def _print_ended(ended: Active, as_json: bool) -> None:
    if as_json:
        print_model(ended)
        return
    click.echo(f"{ended.pipeline} v{ended.version} is no longer active in {ended.environment.label}.")


def _print_rollback(rollback: RollbackPlan, as_json: bool) -> None:
    if as_json:
        from drls_dagster.cli.output import print_json

        # The digest is what consent names; a program should not have to compute it.
        print_json({**rollback.model_dump(mode="json"), "digest": rollback.plan.digest})
        return
    print_plan(rollback.plan, rollback.plan.digest)
    if rollback.undone:
        print_table(
            ["undone in", "snapshot", "run", "partition"],
            [(one.table, one.snapshot, one.run_id or "not by DRLS", one.partition) for one in rollback.undone],
        )
    if rollback.consumers:
        click.echo(f"read by     {', '.join(rollback.consumers)}")
