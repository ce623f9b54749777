"""A difference of data in the shapes that its page has: what moved first, and in how many words."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.app.kit.words import NAMES, count
from lifecycle.domain.data_diff import ColumnDiff, DataDiff, Statistics

MOST_COLUMNS = 200
"""Columns in the page's table; REST returns all of them."""

_STATISTICS = {
    "nulls": "Nulls",
    "nans": "NaN",
    "min": "Smallest",
    "max": "Largest",
    "mean": "Mean",
    "distinct": "Distinct",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """One kind of difference: its sign, its word, and how many rows; `found` of them where only a sample was read."""

    kind: str
    sign: str
    word: str
    rows: int
    found: int | None


@dataclass(frozen=True, slots=True)
class Figure:
    """A statistic before and after; `there` False: it means nothing for this column."""

    label: str
    before: str | None
    after: str | None
    moved: bool
    there: bool


@dataclass(frozen=True, slots=True)
class ColumnView:
    """A column's line. `only`: the one side that has it, in words."""

    name: str
    type: str
    changed: int | None
    only: str
    figures: tuple[Figure, ...]

    @property
    def is_quiet(self) -> bool:
        """Whether nothing about it is different."""
        return not (self.changed or self.only or any(figure.moved for figure in self.figures))


@dataclass(frozen=True, slots=True)
class DiffView:
    """What the page shows besides the difference itself."""

    diff: DataDiff
    tallies: tuple[Tally, ...]
    unchanged: int | None
    labels: tuple[str, ...]
    moved: tuple[ColumnView, ...]
    quiet: tuple[ColumnView, ...]
    not_shown: int
    warnings: tuple[str, ...]


def view_of(diff: DataDiff) -> DiffView:
    """What moved comes first, in the table's order."""
    labels = tuple(name for name in _STATISTICS if any(_has(column, name) for column in diff.columns))
    columns = [_column(column, labels, diff) for column in diff.columns]
    moved = [column for column in columns if not column.is_quiet]
    quiet = [column for column in columns if column.is_quiet]
    left = max(MOST_COLUMNS - len(moved), 0)
    return DiffView(
        diff=diff,
        tallies=_tallies(diff),
        unchanged=diff.before.rows - diff.removed - (diff.changed or 0) if diff.fraction >= 1 else None,
        labels=tuple(_STATISTICS[name] for name in labels),
        moved=tuple(moved[:MOST_COLUMNS]),
        quiet=tuple(quiet[:left]),
        not_shown=max(len(columns) - MOST_COLUMNS, 0),
        warnings=tuple(_warnings(diff)),
    )


def _tallies(diff: DataDiff) -> tuple[Tally, ...]:
    kinds = [("added", "+", diff.added), ("changed", "~", diff.changed), ("removed", "−", diff.removed)]
    return tuple(
        Tally(word, sign, word, diff.estimated(found), found if diff.fraction < 1 else None)
        for word, sign, found in kinds
        if found is not None
    )


def _column(column: ColumnDiff, names: tuple[str, ...], diff: DataDiff) -> ColumnView:
    only = ""
    if column.before is None and diff.before.snapshot is not None:
        only = "new"
    elif column.after is None and diff.after.snapshot is not None:
        only = "gone"
    return ColumnView(
        name=column.column,
        type=column.type,
        changed=column.changed,
        only=only,
        figures=tuple(_figure(column, name) for name in names),
    )


def _figure(column: ColumnDiff, name: str) -> Figure:
    return Figure(
        label=_STATISTICS[name],
        before=_text(column.before, name),
        after=_text(column.after, name),
        moved=name in column.moved,
        there=_has(column, name),
    )


def _has(column: ColumnDiff, name: str) -> bool:
    return any(side is not None and getattr(side, name) is not None for side in (column.before, column.after))


def _text(side: Statistics | None, name: str) -> str | None:
    value = getattr(side, name) if side is not None else None
    if isinstance(value, float):
        # As many digits as tell a difference, not as many as a float has.
        return f"{value:,.7g}".replace(",", "\u202f")
    return count(value) if isinstance(value, int) else value


def _warnings(diff: DataDiff) -> list[str]:
    lines: list[str] = []
    for word, side, found in (
        ("before", diff.before, diff.duplicates_before),
        ("after", diff.after, diff.duplicates_after),
    ):
        where = f"{word} ({NAMES[side.environment]})"
        if found is not None and found.keys:
            lines.append(
                f"{count(found.keys)} {'key is' if found.keys == 1 else 'keys are'} duplicated {where}: those "
                "rows are matched by all their values"
            )
        if found is not None and found.nulls:
            lines.append(f"{count(found.nulls)} {'row has' if found.nulls == 1 else 'rows have'} no key {where}")
    return lines
