"""Following an operation on a table from the command line, and printing it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

import click

from drls_dagster.cli.output import cell, in_words, make_console, print_table
from drls_dagster.errors import DrlsError
from drls_dagster.lifecycle_client import Lifecycle
from drls_dagster.maintenance.words import result_in_words
from lifecycle.domain.operations import Operation, OperationPlan, OrphanResult
from lifecycle.domain.table_policy import TablePolicy, waits_in_words
from lifecycle.errors import Refused, Unavailable

_LOOK_SECONDS = 0.5
_STOP_SECONDS = 60.0
_SHOWN_FILES = 20


def follow(client: Lifecycle, started: Operation) -> Operation:
    """Until it is over, with its progress on stderr. The first Ctrl-C cancels it, the second one leaves it alone."""
    interrupted = threading.Event()
    now, said, cancelled = started, "", False
    with _ctrl_c(interrupted):
        while not now.state.is_over:
            if interrupted.wait(_LOOK_SECONDS) and not cancelled:
                cancelled = True
                click.echo(f"Cancelling operation {now.id}.", err=True)
                with suppress(Refused):  # it ended at this moment
                    client.maintenance.cancel(now.id)
            elif cancelled:
                time.sleep(_LOOK_SECONDS)
            try:
                now = client.maintenance.show(now.id)
            except Unavailable as error:
                _say(error.message, said)
                continue
            said = _say(_progress(now), said)
    return now


def wait_for_end(client: Lifecycle, number: int) -> Operation:
    """Raises DrlsError where it does not stop within a minute."""
    until = time.monotonic() + _STOP_SECONDS
    while True:
        found = client.maintenance.show(number)
        if found.state.is_over:
            return found
        if time.monotonic() > until:
            raise DrlsError(f"operation {number} was asked to stop and is still {found.state.value}; look again later")
        time.sleep(_LOOK_SECONDS)


@contextmanager
def _ctrl_c(interrupted: threading.Event) -> Generator[None]:
    def first(_number: int, _frame: FrameType | None) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _say(text: str, said: str) -> str:
    if text and text != said:
        click.echo(text, err=True)
    return text


def _progress(one: Operation) -> str:
    if one.progress is None or one.state.is_over:
        return ""
    share = f"{one.progress.done:,} of {one.progress.total:,} " if one.progress.total else ""
    size = f", {in_words(one.progress.bytes)}" if one.progress.bytes else ""
    return f"{share}{one.progress.what}{size}"


def print_plan(plan: OperationPlan) -> None:
    """A plan for people."""
    console = make_console()
    console.print(
        f"{plan.kind.value} {cell(plan.table)} at {cell(plan.ref)}: {'needed' if plan.needed else 'not needed'}"
    )
    for reason in plan.reasons:
        console.print(f"  {cell(reason)}")
    for name, value in plan.figures.items():
        shown = in_words(value) if "bytes" in name else f"{value:,}"
        console.print(f"  {name.replace('_', ' '):<28} {shown}")
    if plan.cost:
        console.print(f"  cost: {cell(plan.cost)}")
    console.print(f"  plan {plan.digest}")


def print_policy(policy: TablePolicy) -> None:
    """A policy for people: what holds for each operation, what says so, and whether something holds it back."""
    click.echo(f"{cell(policy.table)} in {policy.environment.label}: maintained below a score of {policy.below}")
    print_table(
        ["operation", "automatic", "from"],
        [
            *((one.operation.value, one.automatic.value, cell(one.origin)) for one in policy.rules),
            ("order of rows", cell(policy.order), cell(policy.strategy_origin)),
            ("score", str(policy.below), cell(policy.below_origin)),
        ],
    )
    for line in policy.wrong:
        click.echo(f"Not valid, so nothing is done automatically: {cell(line)}")
    if policy.waits:
        click.echo(f"Waiting: {cell(waits_in_words(policy))}")
    elif policy.automatic:
        click.echo("Nothing holds it back now.")


def print_operation(one: Operation, *, brief: bool = False) -> None:
    """An operation for people; `brief`: whoever started it knows the beginning."""
    if not brief:
        click.echo(f"Operation {one.id}: {one.kind.value} of {cell(one.table)} at {cell(one.ref)}, by {one.asked_by}")
        if one.plan is not None:
            print_plan(one.plan)
    if one.error:
        click.echo(f"Error: operation {one.id} failed: {one.error}", err=True)
        return
    click.echo(f"{one.state.value}{': ' + in_short(one) if in_short(one) else ''}")
    found = one.result
    if isinstance(found, OrphanResult) and found.files:
        for file in found.files[:_SHOWN_FILES]:
            click.echo(f"  {cell(file)}")
        if found.orphan_count > _SHOWN_FILES:
            click.echo(f"  and {found.orphan_count - min(_SHOWN_FILES, len(found.files)):,} more; see all with --json")
    sys.stdout.flush()


def in_short(one: Operation) -> str:
    """What came of it, or how far it is, in a few words."""
    if one.result is not None:
        return result_in_words(one.result, in_words)
    return cell(one.error) if one.error else _progress(one)
