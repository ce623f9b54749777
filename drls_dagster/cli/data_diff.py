"""How a difference of data is waited for and printed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from drls_dagster.cli.output import cell, make_console, print_table
from lifecycle.errors import Unavailable

if TYPE_CHECKING:
    from lifecycle.domain.data_diff import ColumnDiff, DataDiff, Progress, Text
    from lifecycle.usecases.compare_data import DataComparison

_EVERY = 0.5  # seconds
_MOST_COLUMNS = 50


class Waiting(Protocol):
    """What is asked for again until the comparison is there."""

    @property
    def progress(self) -> Progress | None: ...

    @property
    def failed(self) -> str | None: ...


W = TypeVar("W", bound=Waiting)


def wait_for(ask: Callable[[bool], W]) -> W:
    """Asks until the comparison is there, with its progress on stderr. Raises Unavailable when it failed.

    One that had failed before is tried again: who types the command wants to know now.
    """
    found = ask(True)
    said = ""
    while found.progress is not None:
        line = _progress(found.progress)
        if line != said:
            click.echo(line, err=True)
            said = line
        time.sleep(_EVERY)
        found = ask(False)
    if found.failed is not None:
        raise Unavailable(found.failed)
    return found


def print_comparison(found: DataComparison) -> None:
    """What it means, then counts, columns that moved, and samples."""
    click.echo(cell(f"{found.table}: {found.note}"))
    if found.diff is not None:
        print_diff(found.diff)


def print_diff(diff: DataDiff) -> None:
    """The counts, columns and samples of a difference."""
    console = make_console()
    for word, side in (("before", diff.before), ("after", diff.after)):
        what = f"snapshot {side.snapshot}, {side.rows:,} rows" if side.snapshot is not None else "nothing yet"
        console.print(f"{word:<7} {side.environment.label}: {what}")
    about = "about " if diff.fraction < 1 else ""
    kinds = [("+", diff.added, "added"), ("~", diff.changed, "changed"), ("-", diff.removed, "removed")]
    counts = (f"{sign} {about}{diff.estimated(n):,} {word}" for sign, n, word in kinds if n is not None)
    console.print("   ".join(counts))
    for line in (diff.matched_by, f"sampled: {diff.reason}" if diff.reason else ""):
        if line:
            console.print(cell(line), soft_wrap=True)
    for side, keys in (("before", diff.duplicates_before), ("after", diff.duplicates_after)):
        if keys is not None and (keys.keys or keys.nulls):
            console.print(f"keys {side}: {keys.keys:,} are duplicated, {keys.nulls:,} rows have no key")
    for change in diff.schema_changes:
        console.print(cell(change.words), soft_wrap=True)
    _print_columns(diff)
    _print_samples(diff)


def _print_columns(diff: DataDiff) -> None:
    moved = [
        column for column in diff.columns if column.moved or column.changed or None in (column.before, column.after)
    ]
    if moved:
        click.echo(f"Columns that changed, {diff.statistics_note}:")
        names = ("nulls", "nans", "min", "max", "mean", "distinct")
        print_table(
            ["column", "changed", *names],
            [(one.column, one.changed, *(_figure(one, name) for name in names)) for one in moved[:_MOST_COLUMNS]],
        )
    if len(moved) > _MOST_COLUMNS:
        click.echo(f"{len(moved) - _MOST_COLUMNS} more columns changed; --json lists them all.")


def _print_samples(diff: DataDiff) -> None:
    if diff.changed_rows:
        click.echo("Changed rows:")
        print_table(
            [*diff.keys, "column", "before", "after"],
            [
                (*map(_value, row.key), one.column, _value(one.before), _value(one.after))
                for row in diff.changed_rows
                for one in row.cells
            ],
        )
    for word, rows in (("Added", diff.added_rows), ("Removed", diff.removed_rows)):
        if rows:
            click.echo(f"{word} rows:")
            print_table([*diff.sample_columns, "times"], [(*map(_value, row.values), row.times) for row in rows])


def _figure(column: ColumnDiff, name: str) -> str:
    sides = [None if side is None else getattr(side, name) for side in (column.before, column.after)]
    before, after = ("–" if side is None else str(side) for side in sides)
    return after if before == after else f"{before} → {after}"


def _value(text: Text) -> str:
    return "NULL" if text is None else text


def _progress(progress: Progress) -> str:
    read = f": {progress.files} of {progress.of} files, {progress.rows:,} rows" if progress.of else ""
    return f"{progress.step.value}{read}"
