"""Two lists of rows compared one row at a time: what every comparison must find, however it goes about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.domain.data_diff import (
    Cell,
    ChangedRow,
    ColumnDiff,
    DataDiff,
    DiffLimits,
    Duplicates,
    RowKey,
    RowSample,
    SchemaChange,
    Side,
    SnapshotShown,
    Statistics,
)

Row = Mapping[str, Any]
ROW: Row = {"id": 1, "note": "x"}
_NAN = object()


@dataclass(frozen=True)
class Difference:
    """`changed` are pairs of one key that is left once on each side."""

    columns: tuple[str, ...]
    added: Counter[tuple[Hashable, ...]]
    removed: Counter[tuple[Hashable, ...]]
    changed: tuple[tuple[tuple[Hashable, ...], tuple[Hashable, ...]], ...]

    def changed_in(self, column: str) -> int:
        place = self.columns.index(column)
        return sum(old[place] != new[place] for old, new in self.changed)


def difference(columns: Sequence[str], before: Sequence[Row], after: Sequence[Row], keys: Sequence[str]) -> Difference:
    """Rows that stand on both sides cancel out first; then what is left is paired by key."""
    old = Counter(_row(columns, row) for row in before)
    new = Counter(_row(columns, row) for row in after)
    removed, added = old - new, new - old
    changed: list[tuple[tuple[Hashable, ...], tuple[Hashable, ...]]] = []
    if keys:
        places = [columns.index(key) for key in keys]
        by_key: dict[tuple[Hashable, ...], tuple[list[Any], list[Any]]] = {}
        for side, rows in enumerate((removed, added)):
            for row in rows.elements():
                by_key.setdefault(tuple(row[place] for place in places), ([], []))[side].append(row)
        changed = [(lost[0], won[0]) for lost, won in by_key.values() if len(lost) == len(won) == 1]
        for lost, won in changed:
            removed[lost] -= 1
            added[won] -= 1
    return Difference(tuple(columns), +added, +removed, tuple(changed))


def duplicates(rows: Sequence[Row], keys: Sequence[str]) -> Duplicates:
    found = Counter(_row(keys, row) for row in rows)
    return Duplicates(
        keys=sum(times > 1 for times in found.values()),
        nulls=sum(times for key, times in found.items() if None in key),
    )


def fake_diff(
    table: str,
    before: Side,
    after: Side,
    old: Sequence[Row],
    new: Sequence[Row],
    row_keys: Sequence[RowKey],
    limits: DiffLimits,
) -> DataDiff:
    """A whole difference of rows with text and whole numbers in them; a side has the columns that its rows name."""
    own = [list(dict.fromkeys(name for row in rows for name in row)) for rows in (old, new)]
    # A side without a row says nothing of its columns.
    there = [own[0] or own[1], own[1] or own[0]]
    columns = list(dict.fromkeys([*there[1], *there[0]]))
    common = [column for column in there[1] if column in there[0]] or columns
    key = next((key for key in row_keys if set(key.columns) <= set(common)), None)
    keys = list(key.columns) if key is not None else []
    found = difference(common, old, new, keys)
    shown = [*keys, *(column for column in common if column not in keys)]
    where = "; compared on the columns both sides have" if len(common) < len(columns) else ""
    return DataDiff(
        table=table,
        before=SnapshotShown(environment=before.environment, snapshot=before.snapshot, rows=len(old)),
        after=SnapshotShown(environment=after.environment, snapshot=after.snapshot, rows=len(new)),
        keys=tuple(keys),
        matched_by=(
            f"rows are matched by {', '.join(keys)}: {key.because}{where}"
            if key is not None
            else f"whole rows are compared, because no unique columns are declared{where}"
        ),
        added=found.added.total(),
        removed=found.removed.total(),
        changed=len(found.changed) if keys else None,
        duplicates_before=duplicates(old, keys) if keys else None,
        duplicates_after=duplicates(new, keys) if keys else None,
        schema_changes=tuple(
            SchemaChange(kind="removed", column=column, before="int")
            if column in there[0]
            else SchemaChange(kind="added", column=column, after="int")
            for column in columns
            if column not in common
        ),
        columns=tuple(
            ColumnDiff(
                column=column,
                type="text",
                before=_statistics(old, column) if before.snapshot is not None and column in there[0] else None,
                after=_statistics(new, column) if after.snapshot is not None and column in there[1] else None,
                changed=found.changed_in(column) if keys and column in common and column not in keys else None,
            )
            for column in columns
        ),
        statistics_note="of all rows",
        sample_columns=tuple(shown),
        columns_not_shown=len(columns) - len(shown),
        added_rows=_samples(found.added, common, shown, limits),
        removed_rows=_samples(found.removed, common, shown, limits),
        changed_rows=tuple(
            ChangedRow(
                key=tuple(_text(new[common.index(key)]) for key in keys),
                cells=tuple(
                    Cell(column=column, before=_text(was), after=_text(now))
                    for column, was, now in zip(common, old, new, strict=True)
                    if was != now
                ),
            )
            for old, new in found.changed[: limits.samples]
        ),
    )


def canonical(value: Any) -> Hashable:
    """A value that equals another one exactly when SQL would not call them distinct."""
    if isinstance(value, float):
        return _NAN if math.isnan(value) else value + 0.0
    if isinstance(value, dict):
        return tuple(sorted((key, canonical(inner)) for key, inner in value.items()))
    if isinstance(value, list | tuple):
        return tuple(canonical(inner) for inner in value)
    return value


def _row(columns: Sequence[str], row: Row) -> tuple[Hashable, ...]:
    return tuple(canonical(row.get(column)) for column in columns)


def _samples(
    rows: Counter[tuple[Hashable, ...]], columns: Sequence[str], shown: Sequence[str], limits: DiffLimits
) -> tuple[RowSample, ...]:
    places = [columns.index(column) for column in shown]
    few = list(rows.items())[: limits.samples]
    return tuple(RowSample(values=tuple(_text(row[place]) for place in places), times=times) for row, times in few)


def _statistics(rows: Sequence[Row], column: str) -> Statistics:
    values = [row[column] for row in rows if row.get(column) is not None]
    numbers = [value for value in values if isinstance(value, int)]
    return Statistics(
        nulls=len(rows) - len(values),
        min=_text(min(values, default=None)),
        max=_text(max(values, default=None)),
        mean=sum(numbers) / len(numbers) if numbers else None,
        distinct=len(set(values)),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
