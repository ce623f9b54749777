"""`drls approvals`: requests to promote, and what people say to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import (
    environment_type,
    key_option,
    number_type,
    plan_digest_option,
    print_model,
    print_models,
    reason_option,
)
from drls_dagster.cli.output import json_option
from drls_dagster.cli.requests import print_detail, print_requests, report
from drls_dagster.errors import DrlsError, UsageError

if TYPE_CHECKING:
    from lifecycle.domain.environment import Environment
    from lifecycle.verbs.answers import Request

request_argument = click.argument("request", type=number_type)


@click.group()
def approvals() -> None:
    """Look at requests to promote, approve, reject, withdraw, refresh and discuss them."""


@approvals.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is over.")
@click.option("--to", "target", type=environment_type, help="Only into this environment.")
@click.option("--pipeline", metavar="NAME", help="Only of this pipeline.")
@click.option("--for-me", is_flag=True, help="Only what I may approve.")
@click.option("--before", type=number_type, metavar="REQUEST", help="Page on: only older ones than this.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Requests at most.")
@json_option
def list_requests(
    everything: bool,
    target: Environment | None,
    pipeline: str | None,
    for_me: bool,
    before: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """List requests, newest first: those that are not over, unless --all."""
    from lifecycle.domain.promotion import State

    states = () if everything else tuple(state for state in State if not state.is_terminal)
    with lifecycle() as client:
        found = client.promotions.list(states=states, target=target, pipeline=pipeline, before=before, limit=limit)
        if for_me:
            me = client.people.me().name
            open_ones = (one for one in found if one.state is State.REQUESTED)
            found = tuple(one for one in open_ones if me in client.promotions.show(one.id).may_approve)
    if as_json:
        print_models(found)
        return
    print_requests(found)


@approvals.command()
@request_argument
@json_option
def show(request: int, as_json: bool) -> None:
    """Show a request: its plan, who may approve it, and what was said."""
    with lifecycle() as client:
        detail = client.promotions.show(request)
    if as_json:
        print_model(detail)
        return
    print_detail(detail)


@approvals.command()
@request_argument
@plan_digest_option
@click.option("--reason", default="", help="Why; everybody sees it.")
@key_option
@json_option
def approve(request: int, plan_digest: str | None, reason: str, key: str | None, as_json: bool) -> None:
    """Approve a request's plan. When the quorum is met it executes by itself.

    Without --plan the plan is shown first, and then asked about, unless something in it has moved since.
    """
    if plan_digest is None and as_json:
        raise UsageError("--json asks nothing: name the plan that you looked at with --plan DIGEST")
    with lifecycle() as client:
        if plan_digest is None:
            detail = client.promotions.show(request)
            print_detail(detail)
            if moved := client.promotions.comparison(request).outcome:
                raise DrlsError(
                    f"request {request} is stale: {moved}; ask for the plan as of now with "
                    f"`drls approvals refresh {request}`, or withdraw it"
                )
            click.confirm("Approve this plan?", abort=True)
            plan_digest = detail.plan_digest
        approved = client.promotions.approve(request, plan_digest, reason=reason, key=key)
    report(approved, as_json, done="Your approval is recorded")


@approvals.command()
@request_argument
@plan_digest_option
@reason_option
@key_option
@json_option
def reject(request: int, plan_digest: str | None, reason: str, key: str | None, as_json: bool) -> None:
    """Reject a request; one rejection is enough."""
    with lifecycle() as client:
        looked_at = plan_digest or client.promotions.show(request).plan_digest
        rejected = client.promotions.reject(request, looked_at, reason=reason, key=key)
    _print_end(rejected, as_json)


@approvals.command()
@request_argument
@click.option("--reason", default="", help="Why; everybody sees it.")
@key_option
@json_option
def withdraw(request: int, reason: str, key: str | None, as_json: bool) -> None:
    """Take a request back."""
    with lifecycle() as client:
        withdrawn = client.promotions.withdraw(request, reason=reason, key=key)
    _print_end(withdrawn, as_json)


@approvals.command()
@request_argument
@key_option
@json_option
def refresh(request: int, key: str | None, as_json: bool) -> None:
    """Ask again for the same, with a plan as of now. Approvals are not carried over."""
    with lifecycle() as client:
        fresh = client.promotions.refresh(request, key=key)
    if as_json:
        print_model(fresh)
        return
    click.echo(f"Request {fresh.id} takes the place of request {request}: {fresh.plan_digest}")


@approvals.command()
@request_argument
@click.argument("text")
@key_option
@json_option
def comment(request: int, text: str, key: str | None, as_json: bool) -> None:
    """Add a comment to a request; it stays as it is."""
    with lifecycle() as client:
        remark = client.promotions.comment(request, text, key=key)
    if as_json:
        print_model(remark)
        return
    click.echo(f"Request {request}, {remark.person}: {remark.body}")


@approvals.command()
@request_argument
@click.argument("table")
@json_option
def diff(request: int, table: str, as_json: bool) -> None:
    """Show what a request changes in the data of a table: rows, columns, a few samples."""
    from drls_dagster.cli.data_diff import print_comparison, wait_for

    with lifecycle() as client:
        found = wait_for(lambda again: client.promotions.data(request, table, again=again))
    if as_json:
        print_model(found)
        return
    print_comparison(found)


def _print_end(request: Request, as_json: bool) -> None:
    if as_json:
        print_model(request)
        return
    click.echo(f"Request {request.id} is {request.state.value}: {request.outcome}")
