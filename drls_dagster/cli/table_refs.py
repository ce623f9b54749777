"""`drls table rollback | branch | tag | diff`: snapshots and refs by hand."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from drls_dagster.cli.options import moment_type, print_model
from drls_dagster.cli.output import cell, in_words, json_option, print_table
from drls_dagster.cli.table_asking import environment_option, name_argument
from drls_dagster.cli.table_changing import carry_out, how_options
from drls_dagster.errors import UsageError
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from lifecycle.domain.evolution import SnapshotDiff

at_option = click.option("--at", "to", metavar="SNAPSHOT|REF", help="Where it begins; by default the head of main.")
keep_option = click.option("--keep-for", metavar="DURATION", help="Let expiry remove it when it is older: 30d, 12h.")
drop_option = click.option("--drop", is_flag=True, help="Drop it.")


@click.command()
@name_argument
@click.option("--to", metavar="SNAPSHOT|REF", help="The snapshot to go back to.")
@click.option("--at", type=moment_type, help="Go back to what it was at this time (UTC).")
@click.option("--ref", default="main", show_default=True, help="The branch to roll back.")
@how_options
def rollback(name: str, to: str | None, at: datetime | None, ref: str, **how: Any) -> None:
    """Put a branch back to a snapshot that it was at. Production's releases go back with drls rollback."""
    from lifecycle.domain.evolution import RollBack, make_change

    if (to is None) == (at is None):
        raise UsageError("pass --to SNAPSHOT or --at TIME")
    carry_out(
        name,
        make_change(RollBack, ref=ref, to=to, at=at),
        how,
        lambda client, options: client.evolution.rollback(name, to=to, at=at, ref=ref, **options),
    )


@click.command()
@name_argument
@click.argument("ref")
@at_option
@keep_option
@click.option("--min-snapshots", type=click.IntRange(1, 1_000_000), help="Snapshots that expiry leaves on it.")
@click.option("--snapshots-for", metavar="DURATION", help="Let expiry remove its snapshots when they are older.")
@click.option("--forward", metavar="SNAPSHOT|REF", help="Move the branch forward to this descendant of its head.")
@drop_option
@how_options
def branch(
    name: str,
    ref: str,
    to: str | None,
    keep_for: str | None,
    min_snapshots: int | None,
    snapshots_for: str | None,
    forward: str | None,
    drop: bool,
    **how: Any,
) -> None:
    """Make a branch, set how long it is kept, move it forward, or drop it."""
    from lifecycle.domain.evolution import FastForward, make_change

    if forward is None:
        kept = (_milliseconds(keep_for), min_snapshots, _milliseconds(snapshots_for))
        _set_or_drop(name, ref, "branch", to, kept, drop, how)
        return
    if drop or any((to, keep_for, min_snapshots, snapshots_for)):
        raise UsageError("--forward goes with no other change")
    carry_out(
        name,
        make_change(FastForward, ref=ref, to=forward),
        how,
        lambda client, options: client.evolution.fast_forward(name, ref, forward, **options),
    )


@click.command()
@name_argument
@click.argument("ref")
@at_option
@keep_option
@drop_option
@how_options
def tag(name: str, ref: str, to: str | None, keep_for: str | None, drop: bool, **how: Any) -> None:
    """Make a tag, set how long it is kept, or drop it."""
    _set_or_drop(name, ref, "tag", to, (_milliseconds(keep_for), None, None), drop, how)


@click.command()
@name_argument
@click.argument("before", metavar="[FROM]", required=False)
@click.argument("after", metavar="[TO]", required=False)
@environment_option
@click.option("--rows", is_flag=True, help="Compare the rows too; reads the data.")
@json_option
def diff(
    name: str, before: str | None, after: str | None, environment: Environment | None, rows: bool, as_json: bool
) -> None:
    """Show what differs between two snapshots, branches or tags: columns, files and, with --rows, rows.

    Without FROM and TO it compares the newest snapshot with the one before.
    """
    from drls_dagster.cli.data_diff import print_diff, wait_for
    from drls_dagster.cli.lifecycle import lifecycle

    with lifecycle() as client:

        def ask(again: bool) -> SnapshotDiff:
            return client.evolution.diff(
                name, before=before, after=after, environment=environment, rows=rows, again=again
            )

        found = wait_for(ask) if rows else ask(False)
    if as_json:
        print_model(found)
        return
    _print_diff(found)
    if found.data is not None:
        print_diff(found.data)


def _set_or_drop(
    name: str,
    ref: str,
    kind: str,
    to: str | None,
    kept: tuple[int | None, int | None, int | None],
    drop: bool,
    how: dict[str, Any],
) -> None:
    from lifecycle.domain.evolution import DropRef, SetRef, make_change

    if drop and (to is not None or any(kept)):
        raise UsageError("--drop goes with no other change")
    if drop:
        change = make_change(DropRef, ref=ref)
        carry_out(name, change, how, lambda client, options: client.evolution.drop_ref(name, ref, **options))
        return
    given = {"to": to, "max_ref_age_ms": kept[0], "min_snapshots": kept[1], "max_snapshot_age_ms": kept[2]}
    change = make_change(SetRef, ref=ref, type=kind, **given)
    carry_out(
        name, change, how, lambda client, options: client.evolution.set_ref(name, ref, change.type, **given, **options)
    )


def _milliseconds(text: str | None) -> int | None:
    from pydantic import TypeAdapter, ValidationError

    from lifecycle.domain.duration import Duration

    if text is None:
        return None
    try:
        given = TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise UsageError(f"{text!r} is not a duration; write 12h, 30d or 4w") from None
    return int(given.total_seconds() * 1000)


def _print_diff(found: SnapshotDiff) -> None:
    for word, side in (("before", found.before), ("after", found.after)):
        when = f", {side.at:%Y-%m-%d %H:%M:%S} UTC, {side.operation}" if side.at else ""
        what = f"snapshot {side.snapshot}{when}" if side.snapshot is not None else "nothing yet"
        click.echo(f"{word:<7} {what}")
    if found.relation == "unrelated":
        click.echo("Neither descends from the other.")
    for change in found.schema_changes:
        click.echo(cell(change.words))
    print_table(
        ["", "data files", "rows", "size", "delete files"],
        [
            (word, counts.files, counts.rows, in_words(counts.bytes), counts.delete_files)
            for word, counts in (("added", found.added), ("removed", found.removed))
        ],
        right=["data files", "rows", "size", "delete files"],
    )


COMMANDS = (rollback, branch, tag, diff)
