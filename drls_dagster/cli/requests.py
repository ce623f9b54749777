"""How requests to promote and their plans are printed, and what their end means for the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.options import print_model, short_digest, short_time
from drls_dagster.cli.output import cell, make_console, print_table
from drls_dagster.errors import DrlsError

if TYPE_CHECKING:
    from lifecycle.domain.plan import Plan
    from lifecycle.verbs.answers import Request, RequestDetail


def print_requests(requests: Sequence[Request]) -> None:
    """A table, a line per request."""
    print_table(
        ["request", "kind", "version", "to", "state", "by", "asked", "expires", "remark"],
        [
            (
                one.id,
                one.kind,
                f"{one.pipeline} v{one.version}",
                one.target.value,
                one.state.value,
                one.requested_by,
                short_time(one.requested_at),
                short_time(one.expires_at),
                one.waiting or one.outcome or one.reason,
            )
            for one in requests
        ],
        right=["request"],
    )


def print_plan(plan: Plan, digest: str) -> None:
    """Everything that an approval approves."""
    console = make_console()
    replaced = f"replaces {short_digest(plan.replaces)}" if plan.replaces else "replaces nothing"
    for title, text in (
        (plan.kind, f"{plan.pipeline} v{plan.version}, {plan.source.label} → {plan.target.label}, {replaced}"),
        ("spec", plan.spec_digest),
        ("carry", f"{plan.carry.value}: {plan.carry_reason}"),
        ("parameters", plan.parameters or None),
        (
            "evidence",
            f"session {plan.session}, receipts {', '.join(map(str, plan.receipts))}" if plan.receipts else None,
        ),
        ("policy", plan.policy and f"revision {plan.policy}"),
        ("plan", digest),
    ):
        if text:
            console.print(f"{title:<11} {cell(text)}", soft_wrap=True)
    for title, rows in (("tables", plan.tables), ("inputs", plan.inputs), ("positions", plan.positions)):
        if rows:
            console.print(f"\n{title}", style="bold")
            dumped = [row.model_dump(mode="json") for row in rows]
            print_table(list(dumped[0]), [list(row.values()) for row in dumped])


def print_detail(detail: RequestDetail) -> None:
    """A request with its plan and discussion."""
    console = make_console()
    by = f"{detail.requested_by} for {detail.acted_for}" if detail.acted_for else detail.requested_by
    console.print(f"request     {detail.id}, {detail.state.value}, by {by}, {short_time(detail.requested_at)}")
    if detail.state.is_open:
        console.print(f"expires     {short_time(detail.expires_at)} UTC")
    for title, text in (("reason", detail.reason), ("outcome", detail.outcome), ("quorum", detail.quorum)):
        if text:
            console.print(f"{title:<11} {cell(text)}", soft_wrap=True)
    if detail.may_approve:
        console.print(f"for         {', '.join(detail.may_approve)}", soft_wrap=True)
    print_plan(detail.plan, detail.plan_digest)
    if detail.newer_runs.warning:
        console.print(f"warning     {cell(detail.newer_runs.warning)}", soft_wrap=True)
    for one in detail.decisions:
        own = ", own work" if one.own_work else ""
        said = f": {cell(one.reason)}" if one.reason else ""
        said += f"; lapsed: {cell(one.lapsed)}" if one.lapsed else ""
        said += f"; counts as one person with {', '.join(one.one_with)}" if one.one_with else ""
        console.print(
            f"{one.verdict.value}  {one.person} ({one.role}{own}), {short_time(one.at)}{said}", soft_wrap=True
        )
    for one in detail.comments:
        console.print(f"comment  {one.person}, {short_time(one.at)}: {cell(one.body)}", soft_wrap=True)


def report(request: Request, as_json: bool, *, done: str = "") -> None:
    """Prints the state of a request. Raises DrlsError when it ended without effect, or failed.

    `done` says what was recorded in any case: then an execution that failed is no failure of the command.
    """
    if as_json:
        print_model(request)
    from lifecycle.domain.promotion import State

    what = f"Request {request.id}: {request.pipeline} v{request.version} to {request.target.label}"
    if request.state is State.FAILED and done:
        if not as_json:
            click.echo(f"{done}. {what} failed and will be retried: {request.outcome}")
        return
    if request.state is State.FAILED:
        raise DrlsError(f"{what} failed: {request.outcome}; fix the cause and run the same command again to resume.")
    if request.state.is_terminal and request.state is not State.DONE:
        raise DrlsError(f"{what} is {request.state.value}: {request.outcome or 'no reason given'}")
    if not as_json:
        waiting = f", waiting: {request.waiting}" if request.waiting else ""
        click.echo(f"{what} is {request.state.value}{waiting}.")
