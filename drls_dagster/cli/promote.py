"""`drls promote`: a version goes one environment further."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import Ref, active_number, environment_type, key_option, print_model, ref_type
from drls_dagster.cli.output import json_option
from drls_dagster.cli.requests import print_plan, report
from drls_dagster.errors import DrlsError, UsageError

if TYPE_CHECKING:
    from drls_dagster.lifecycle_client import Lifecycle
    from lifecycle.domain.environment import Environment
    from lifecycle.domain.planning import Planning
    from lifecycle.verbs.answers import Request

_POLL_SECONDS = 2.0


@click.command()
@click.argument("version", type=ref_type)
@click.option("--to", "target", type=environment_type, required=True, help="The environment to promote to.")
@click.option("--plan", "plan_only", is_flag=True, help="Show the plan without changing anything.")
@click.option("--if-plan", metavar="DIGEST", help="Go ahead only if the plan still has this digest.")
@click.option("--reason", default="", help="Reason, visible to everyone.")
@click.option("--wait", is_flag=True, help="Wait until the promotion finishes or fails.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Maximum time for --wait.")
@click.option("--break-glass", is_flag=True, help="Emergency: deploy now, without approval. Requires --reason.")
@key_option
@json_option
def promote(
    version: Ref,
    target: Environment,
    plan_only: bool,
    if_plan: str | None,
    reason: str,
    wait: bool,
    timeout: float | None,
    break_glass: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Promote a version to an environment, or request the approval it needs.

    Without @VERSION, promotes the version active in the previous environment. Running the command again continues the
    existing request: it executes or resumes what is approved.
    """
    source = target.before
    if source is None:
        raise UsageError("a version becomes active in development when you save it; promote to QA, UAT or production")
    with lifecycle() as client:
        number = active_number(client, version, source)
        if plan_only:
            _print_planning(client.promotions.plan(version.name, number, target), as_json)
            return
        if break_glass:
            request = client.promotions.break_glass(version.name, number, target, reason=reason, key=key)
        else:
            request = _ask(client, version.name, number, target, reason, if_plan, key)
        if wait:
            request = _wait(client, request, timeout)
    report(request, as_json)


def _ask(
    client: Lifecycle, name: str, number: int, target: Environment, reason: str, if_plan: str | None, key: str | None
) -> Request:
    """The request for this, new or the one that is there, executed as far as it goes now."""
    from lifecycle.domain.promotion import State

    unfinished = (State.REQUESTED, State.APPROVED, State.EXECUTING, State.FAILED)
    known = client.promotions.list(states=unfinished, target=target, pipeline=name)
    request = next((one for one in known if one.version == number), None)
    is_new = request is None
    if request is None:
        request = client.promotions.request(name, number, target, reason=reason, if_plan=if_plan, key=key)
    elif if_plan is not None and if_plan != request.plan_digest:
        raise DrlsError(
            f"request {request.id} asks for the same promotion with a different plan; refresh or withdraw it"
        )
    if request.state is State.REQUESTED or request.state.is_terminal:
        return request
    try:
        return client.promotions.execute(request.id)
    except DrlsError as error:
        if not is_new:
            raise
        # The request is there, whatever keeps it from being executed now.
        return request.model_copy(update={"waiting": error.message})


def _wait(client: Lifecycle, request: Request, timeout: float | None) -> Request:
    """The request when nothing more happens to it automatically. Raises DrlsError when that takes too long."""
    from lifecycle.domain.promotion import State
    from lifecycle.errors import Conflict

    deadline = None if timeout is None else time.monotonic() + timeout
    while not request.state.is_terminal and request.state is not State.FAILED:
        if deadline is not None and time.monotonic() >= deadline:
            why = f", waiting: {request.waiting}" if request.waiting else ""
            raise DrlsError(f"request {request.id} is still {request.state.value}{why} after {timeout:g} s")
        time.sleep(_POLL_SECONDS if deadline is None else min(_POLL_SECONDS, max(0, deadline - time.monotonic())))
        request = client.promotions.show(request.id)
        if request.state is State.APPROVED:
            try:
                request = client.promotions.execute(request.id)
            except Conflict:
                # Somebody else executes it, or it expired; the next look says which.
                continue
    return request


def _print_planning(planning: Planning, as_json: bool) -> None:
    if as_json:
        print_model(planning)
        return
    print_plan(planning.plan, planning.plan.digest)
    if planning.advice.may_approve:
        click.echo(f"may approve {', '.join(planning.advice.may_approve)}")
    for blocked in planning.advice.blocked:
        click.echo(f"in the way  {blocked}")
    for warning in planning.advice.warnings:
        click.echo(f"warning     {warning}")
