"""`drls approvals`: requests to promote, and what people say to them."""

from __future__ import annotations

from collections.abc import Sequence
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
    """List, review and decide requests to promote."""


@approvals.command("list")
@click.option("--all", "everything", is_flag=True, help="Include finished requests.")
@click.option("--to", "target", type=environment_type, help="Only requests to this environment.")
@click.option("--pipeline", metavar="NAME", help="Only this pipeline.")
@click.option("--for-me", is_flag=True, help="Only requests you may approve.")
@click.option("--before", type=number_type, metavar="REQUEST", help="Only requests older than this, for paging.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Maximum number of requests."
)
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
    """List open requests, newest first; --all includes finished ones."""
    from lifecycle.domain.promotion import State

    states = () if everything else tuple(state for state in State if not state.is_terminal)
    with lifecycle() as client:
        if for_me:
            found = _mine(client.promotions.pending(), target, pipeline, before)[:limit]
        else:
            found = client.promotions.list(states=states, target=target, pipeline=pipeline, before=before, limit=limit)
    if as_json:
        print_models(found)
        return
    print_requests(found)


@approvals.command()
@request_argument
@json_option
def show(request: int, as_json: bool) -> None:
    """Show a request with its plan, approvers and discussion."""
    with lifecycle() as client:
        detail = client.promotions.show(request)
    if as_json:
        print_model(detail)
        return
    print_detail(detail)


@approvals.command()
@request_argument
@plan_digest_option
@click.option("--reason", default="", help="Reason, visible to everyone.")
@key_option
@json_option
def approve(request: int, plan_digest: str | None, reason: str, key: str | None, as_json: bool) -> None:
    """Approve a request's plan. Once the quorum is met, the promotion executes automatically.

    Without --plan, shows the plan and asks you to confirm, unless the plan is stale.
    """
    if plan_digest is None and as_json:
        raise UsageError("--json cannot prompt: pass the plan you reviewed with --plan DIGEST")
    with lifecycle() as client:
        if plan_digest is None:
            detail = client.promotions.show(request)
            print_detail(detail)
            if moved := client.promotions.comparison(request).outcome:
                raise DrlsError(
                    f"request {request} is stale: {moved}; request the current plan with `drls approvals "
                    f"refresh {request}`, or withdraw it"
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
    """Reject a request. One rejection is final."""
    with lifecycle() as client:
        looked_at = plan_digest or client.promotions.show(request).plan_digest
        rejected = client.promotions.reject(request, looked_at, reason=reason, key=key)
    _print_end(rejected, as_json)


@approvals.command()
@request_argument
@click.option("--reason", default="", help="Reason, visible to everyone.")
@key_option
@json_option
def withdraw(request: int, reason: str, key: str | None, as_json: bool) -> None:
    """Withdraw a request."""
    with lifecycle() as client:
        withdrawn = client.promotions.withdraw(request, reason=reason, key=key)
    _print_end(withdrawn, as_json)


@approvals.command()
@request_argument
@key_option
@json_option
def refresh(request: int, key: str | None, as_json: bool) -> None:
    """Replace a request with the same request and a current plan. Approvals do not carry over."""
    with lifecycle() as client:
        fresh = client.promotions.refresh(request, key=key)
    if as_json:
        print_model(fresh)
        return
    click.echo(f"Request {fresh.id} replaces request {request}: {fresh.plan_digest}")


@approvals.command()
@request_argument
@click.argument("text")
@key_option
@json_option
def comment(request: int, text: str, key: str | None, as_json: bool) -> None:
    """Comment on a request without changing it."""
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
    """Show how a request changes a table's data. Lists rows, columns and a few samples."""
    from drls_dagster.cli.data_diff import print_comparison, wait_for

    with lifecycle() as client:
        found = wait_for(lambda again: client.promotions.data(request, table, again=again))
    if as_json:
        print_model(found)
        return
    print_comparison(found)


def _mine(
    pending: Sequence[Request], target: Environment | None, pipeline: str | None, before: int | None
) -> Sequence[Request]:
    """What waits for the caller's decision, newest first."""
    return [
        one
        for one in reversed(pending)
        if target in (None, one.target) and pipeline in (None, one.pipeline) and (before is None or one.id < before)
    ]


def _print_end(request: Request, as_json: bool) -> None:
    if as_json:
        print_model(request)
        return
    click.echo(f"Request {request.id} is {request.state.value}: {request.outcome}")
