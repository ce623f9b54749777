"""`drls maintain`: compact tables, expire snapshots, and remove what nobody needs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import environment_type, moment_type, number_type, print_model, print_models, short_time
from drls_dagster.cli.output import json_option, print_table
from lifecycle.domain.environment import Environment
from lifecycle.domain.operations import (
    CompactOptions,
    ExpireOptions,
    ManifestOptions,
    OperationKind,
    OperationState,
    Options,
    OrphanOptions,
    VacuumOptions,
)

if TYPE_CHECKING:
    from drls_dagster.lifecycle_client import Lifecycle
    from lifecycle.domain.operations import Operation

_Command = TypeVar("_Command", bound=Callable[..., Any])
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_STATES = click.Choice([state.value for state in OperationState])


class _SizeType(click.ParamType):
    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value).strip()
        unit = next((one for one in _UNITS if text.endswith(one)), "")
        number = text.removesuffix(unit).strip()
        if not (number.isascii() and number.isdigit() and len(number) < 16) or int(number) == 0:
            self.fail(f"{value!r} is not a size; write it like 128MB or 512MiB, larger than 0", param, ctx)
        return int(number) * _UNITS.get(unit, 1)


class _AgeType(click.ParamType):
    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        from pydantic import TypeAdapter, ValidationError

        from lifecycle.domain.duration import Duration

        if isinstance(value, timedelta):
            return value
        try:
            return TypeAdapter(Duration).validate_python(value)
        except (ValidationError, OverflowError):
            self.fail(f"{value!r} is not an age; write it like 12h or 7d", param, ctx)


size_type, age_type = _SizeType(), _AgeType()


def _table_options(command: _Command) -> _Command:
    """What every operation takes."""
    for option in reversed(
        (
            click.argument("name"),
            click.option(
                "--env",
                "environment",
                type=environment_type,
                help="Treat NAME as the name a pipeline uses in this environment.",
            ),
            click.option("--plan", "only_plan", is_flag=True, help="Print what it would do, and change nothing."),
            click.option("--if-plan", "digest", metavar="DIGEST", help="Do it only if the plan is still this one."),
            click.option("--detach", is_flag=True, help="Return once it has started; follow it with show."),
            json_option,
        )
    ):
        command = option(command)
    return command


_ref_option = click.option("--ref", metavar="BRANCH", help="Branch to rewrite; default: main.")
_target_option = click.option("--target-size", type=size_type, help="Size of new files, such as 512MB.")


@click.group()
def maintain() -> None:
    """Compact tables, expire their snapshots, and remove files that nobody needs.

    NAME is the exact identifier, namespace.table; with --env, it is the name a pipeline uses. Every operation prints
    its plan with --plan, shows its progress, and is cancelled with Ctrl-C. It needs a Lead of the pipelines that write
    the table.
    """


@maintain.command()
@_table_options
@_ref_option
@click.option(
    "--strategy",
    type=click.Choice(["binpack", "sort", "zorder"]),
    default="binpack",
    show_default=True,
    help="How rows are arranged in new files.",
)
@click.option("--column", "columns", multiple=True, help="Sort by this column; repeat for more.")
@click.option("--where", default="", help="Only files that may have such rows: a filter in SQL.")
@_target_option
@click.option(
    "--min-files", type=click.IntRange(min=1), default=5, show_default=True, help="Rewrite at least so many files."
)
@click.option("--all", "every_file", is_flag=True, help="Rewrite every file, also those that are fine.")
def compact(
    strategy: Any,
    columns: tuple[str, ...],
    where: str,
    target_size: int | None,
    min_files: int,
    every_file: bool,
    **how: Any,
) -> int:
    """Rewrite small files, and files with deletes, as few large ones."""
    given = {
        "strategy": strategy,
        "columns": columns,
        "where": where,
        "target_bytes": target_size,
        "min_files": min_files,
        "all": every_file,
    }
    return _do(OperationKind.COMPACT, given, **how)


@maintain.command()
@_table_options
@_ref_option
@_target_option
def manifests(target_size: int | None, **how: Any) -> int:
    """Rewrite manifests, so that planning a read opens fewer files."""
    return _do(OperationKind.MANIFESTS, {"target_bytes": target_size}, **how)


@maintain.command()
@_table_options
@click.option("--retain-last", type=click.IntRange(min=1), help="Keep at least so many snapshots of each branch.")
@click.option("--older-than", type=moment_type, help="Only snapshots from before this time.")
@click.option("--only-ref", "refs", multiple=True, metavar="BRANCH", help="Only this branch; repeat for more.")
def expire(retain_last: int | None, older_than: datetime | None, refs: tuple[str, ...], **how: Any) -> int:
    """Remove old snapshots, and the files that only they need.

    Without options, the table's own properties (history.expire.*) say how much. Whatever releases, open sessions and
    incremental readers need stays.
    """
    given = {"retain_last": retain_last, "older_than": older_than, "refs": refs}
    return _do(OperationKind.EXPIRE, given, **how)


@maintain.command()
@_table_options
@click.option("--older-than", type=age_type, default="3d", show_default=True, help="Only files at least this old.")
@click.option("--remove", is_flag=True, help="Remove them; otherwise they are only listed.")
def orphans(older_than: timedelta, remove: bool, **how: Any) -> int:
    """List files in a table's folder that no metadata names, or remove them."""
    return _do(OperationKind.ORPHANS, {"older_than": older_than, "dry_run": not remove}, **how)


@maintain.command()
@_table_options
@_ref_option
@click.option("--retain-last", type=click.IntRange(min=1), help="Keep at least so many snapshots of each branch.")
@click.option("--older-than", type=moment_type, help="Expire only snapshots from before this time.")
@click.option("--remove-orphans", is_flag=True, help="Remove orphan files; otherwise they are only listed.")
def vacuum(retain_last: int | None, older_than: datetime | None, remove_orphans: bool, **how: Any) -> int:
    """Do all of it in the right order: compact, rewrite manifests, expire, list orphans."""
    given = {
        "expire": {"retain_last": retain_last, "older_than": older_than},
        "orphans": {"dry_run": not remove_orphans},
    }
    return _do(OperationKind.VACUUM, given, **how)


@maintain.command("list")
@click.option("--table", metavar="NAME", help="Only this table.")
@click.option("--state", "states", multiple=True, type=_STATES, help="Only in this state; repeat for more.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Most to print.")
@json_option
def list_command(table: str | None, states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List operations, newest first."""
    from drls_dagster.cli.maintaining import in_short

    with lifecycle() as client:
        wanted = tuple(OperationState(state) for state in states)
        found = client.maintenance.list(table=table, states=wanted, limit=limit)
    if as_json:
        print_models(found)
        return
    print_table(
        ["operation", "kind", "table", "ref", "state", "started (UTC)", "by", "result"],
        [
            (
                one.id,
                one.kind.value,
                one.table,
                one.ref,
                one.state.value,
                short_time(one.at),
                one.asked_by,
                in_short(one),
            )
            for one in found
        ],
        right=["operation"],
    )


@maintain.command()
@click.argument("name", metavar="TABLE")
@click.option(
    "--env",
    "environment",
    type=environment_type,
    help="Treat TABLE as the name a pipeline uses in this environment.",
)
@json_option
def policy(name: str, environment: Environment | None, as_json: bool) -> None:
    """Show what happens to a table automatically, and when.

    \b
    A table property wins over the setting of the same name:
    drls.maintenance.compact, .manifests, .expire, .orphans: auto, report or off
    drls.maintenance.mode                                   for all of them
    drls.maintenance.below                                  score that needs maintenance
    drls.maintenance.strategy                               binpack, sort or zorder
    drls.maintenance.columns                                columns to order by: a, b
    """
    from drls_dagster.cli.maintaining import print_policy

    with lifecycle() as client:
        found = client.maintenance.policy(name, environment=environment)
    print_model(found) if as_json else print_policy(found)


@maintain.command()
@click.argument("operation", type=number_type)
@json_option
def show(operation: int, as_json: bool) -> None:
    """Show an operation: its plan, its progress and its result."""
    from drls_dagster.cli.maintaining import print_operation

    with lifecycle() as client:
        found = client.maintenance.show(operation)
    print_model(found) if as_json else print_operation(found)


@maintain.command()
@click.argument("operation", type=number_type)
@json_option
def cancel(operation: int, as_json: bool) -> None:
    """Cancel an operation. What it has committed stays."""
    from drls_dagster.cli.maintaining import wait_for_end

    with lifecycle() as client:
        client.maintenance.cancel(operation)
        found = wait_for_end(client, operation)
    if as_json:
        print_model(found)
    else:
        click.echo(f"Operation {operation} is {found.state.value}.")


def _do(
    kind: OperationKind,
    given: dict[str, Any],
    *,
    name: str,
    environment: Environment | None,
    only_plan: bool,
    digest: str | None,
    detach: bool,
    as_json: bool,
    ref: str | None = None,
) -> int:
    from drls_dagster.cli.maintaining import follow, print_operation, print_plan
    from lifecycle.verbs.maintenance import options_of

    options = options_of(kind, given)
    with lifecycle() as client:
        if only_plan:
            told = options.model_dump(mode="json")
            plan = client.maintenance.plan(kind, name, environment=environment, ref=ref, options=told)
            print_model(plan) if as_json else print_plan(plan)
            return 0
        started = _start(client, options, name, environment, ref, digest)
        if detach:
            print_model(started) if as_json else click.echo(f"Operation {started.id} has started.")
            return 0
        ended = follow(client, started)
    print_model(ended) if as_json else print_operation(ended, brief=True)
    return 0 if ended.state is OperationState.DONE else 130 if ended.state is OperationState.CANCELLED else 1


def _start(
    client: Lifecycle, options: Options, name: str, environment: Environment | None, ref: str | None, plan: str | None
) -> Operation:
    ask = client.maintenance
    match options:
        case CompactOptions():
            return ask.compact(
                name, environment=environment, ref=ref, strategy=options.strategy, columns=options.columns,
                where=options.where, target_bytes=options.target_bytes, min_files=options.min_files,
                every_file=options.all, plan=plan,
            )  # fmt: skip
        case ManifestOptions():
            return ask.manifests(name, environment=environment, ref=ref, target_bytes=options.target_bytes, plan=plan)
        case ExpireOptions():
            return ask.expire(
                name, environment=environment, retain_last=options.retain_last, older_than=options.older_than,
                refs=options.refs, plan=plan,
            )  # fmt: skip
        case OrphanOptions():
            hours = options.older_than.total_seconds() / 3600
            return ask.orphans(
                name, environment=environment, older_than_hours=hours, dry_run=options.dry_run, plan=plan
            )
        case VacuumOptions():
            given = options.model_dump(mode="json")
            return ask.vacuum(name, environment=environment, ref=ref, options=given, plan=plan)
