"""The rows that differ: a multiset difference first, then what is left by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.diff.columns import Column
from drls_dagster.lakehouse.diff.shown import as_text, chunks, shown
from lifecycle.domain.data_diff import Cell, ChangedRow, DiffLimits, Duplicates, RowSample

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_AT_ONCE = 100  # columns in one statement
# `n` > 0: so many more of this row after; `up` and `down`: so many of its key were added and removed.
_PAIR = "up = 1 AND down = 1"


@dataclass(frozen=True)
class RowDiff:
    """What was found in the staged rows. `changed_in`: by column name, in how many rows it changed."""

    added: int
    removed: int
    changed: int | None
    changed_in: Mapping[str, int]
    sample_columns: tuple[str, ...]
    added_rows: tuple[RowSample, ...]
    removed_rows: tuple[RowSample, ...]
    changed_rows: tuple[ChangedRow, ...]


class RowComparison:
    """Compares what is staged by `columns`; `keys` are some of them, or none."""

    def __init__(
        self, database: DuckDBPyConnection, columns: Sequence[Column], keys: Sequence[Column], limits: DiffLimits
    ) -> None:
        self._database = database
        self._columns = columns
        self._keys = keys
        self._limits = limits
        by_place = {column.sql: place for place, column in enumerate(columns)}
        others = [column for column in columns if column not in keys]
        # Keys first: they say which row it is.
        self._sampled = [*keys, *others][: max(limits.sample_columns, len(keys))]
        self._order = [columns[by_place[column.sql]] for column in (keys or columns[:5])]

    def run(self) -> RowDiff:
        """Compares; what it makes is left in the database."""
        self._subtract()
        added, removed, changed = self._one(
            f"SELECT coalesce(sum(n) FILTER (n > 0 AND NOT ({_PAIR})), 0), "
            f"coalesce(-sum(n) FILTER (n < 0 AND NOT ({_PAIR})), 0), count(*) FILTER (n > 0 AND {_PAIR}) FROM left_over"
        )
        return RowDiff(
            added=added,
            removed=removed,
            changed=changed if self._keys else None,
            changed_in=self._changed_in() if self._keys else {},
            sample_columns=tuple(column.name for column in self._sampled),
            added_rows=self._samples("n > 0"),
            removed_rows=self._samples("n < 0"),
            changed_rows=self._changed_rows() if changed else (),
        )

    def duplicates(self, side: str, *, whole: bool) -> Duplicates | None:
        """Keys of a side that occur twice or are not there; `whole`: among the rows of both sides' files too."""
        if not self._keys:
            return None
        names = _names(self._keys)
        missing = " OR ".join(f"{column.sql} IS NULL" for column in self._keys)
        same = f" UNION ALL SELECT {names} FROM same" if whole else ""
        rows = f"SELECT {names} FROM {side}{same}"
        keys, nulls = self._one(
            f"SELECT count(*) FILTER (times > 1), coalesce(sum(times) FILTER ({missing}), 0) "
            f"FROM (SELECT {names}, count(*) AS times FROM ({rows}) GROUP BY {names})"
        )
        return Duplicates(keys=keys, nulls=nulls)

    def _subtract(self) -> None:
        names = _names(self._columns)
        self._database.execute(
            f"CREATE TABLE difference AS SELECT {names}, sum(n)::BIGINT AS n FROM "
            f"(SELECT {names}, 1 AS n FROM after UNION ALL SELECT {names}, -1 AS n FROM before) "
            f"GROUP BY {names} HAVING sum(n) <> 0"
        )
        over = f"OVER (PARTITION BY {_names(self._keys)})"
        sides = f"sum(greatest(n, 0)) {over} AS up, sum(greatest(-n, 0)) {over} AS down"
        if not self._keys:
            sides = "0 AS up, 0 AS down"
        self._database.execute(f"CREATE TABLE left_over AS SELECT *, {sides} FROM difference")
        self._database.execute("DROP TABLE difference")

    @property
    def _pairs(self) -> str:
        same_key = " AND ".join(f"b.{key.sql} IS NOT DISTINCT FROM a.{key.sql}" for key in self._keys)
        return (
            f"(SELECT * FROM left_over WHERE n < 0 AND {_PAIR}) AS b "
            f"JOIN (SELECT * FROM left_over WHERE n > 0 AND {_PAIR}) AS a ON {same_key}"
        )

    def _changed_in(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for some in chunks([column for column in self._columns if column not in self._keys], _AT_ONCE):
            counts = ", ".join(f"count(*) FILTER ({_differs(column)})" for column in some)
            counted = self._one(f"SELECT {counts} FROM {self._pairs}")
            found.update(zip((column.sql for column in some), counted, strict=True))
        return found

    def _samples(self, which: str) -> tuple[RowSample, ...]:
        texts = ", ".join(as_text(column.sql, self._limits.text) for column in self._sampled)
        order = _names(self._order)
        rows = self._database.execute(
            f"SELECT {texts}, abs(n) FROM (SELECT * FROM left_over WHERE {which} AND NOT ({_PAIR}) "
            f"ORDER BY hash({order}), {order} LIMIT {self._limits.samples}) ORDER BY {order}"
        ).fetchall()
        return tuple(
            RowSample(values=tuple(shown(value, self._limits.text) for value in row), times=times)
            for *row, times in rows
        )

    def _changed_rows(self) -> tuple[ChangedRow, ...]:
        """A few pairs; of each the changed values, in as many columns as are shown."""
        keys = _names(self._keys, "a.")
        self._database.execute(
            f"CREATE TEMP TABLE chosen AS SELECT row_number() OVER (ORDER BY {keys}) AS place, {keys} FROM "
            f"(SELECT {keys} FROM {self._pairs} ORDER BY hash({keys}), {keys} LIMIT {self._limits.samples}) AS a"
        )
        chosen = " AND ".join(f"a.{key.sql} IS NOT DISTINCT FROM chosen.{key.sql}" for key in self._keys)
        texts = ", ".join(as_text(f"chosen.{key.sql}", self._limits.text) for key in self._keys)
        found = self._database.execute(f"SELECT {texts} FROM chosen ORDER BY place").fetchall()
        cells: list[list[Cell]] = [[] for _ in found]
        more = [0] * len(found)
        for some in chunks([column for column in self._columns if column not in self._keys], _AT_ONCE // 2):
            values = ", ".join(
                f"{_differs(column)}, {as_text(f'b.{column.sql}', self._limits.text)}, "
                f"{as_text(f'a.{column.sql}', self._limits.text)}"
                for column in some
            )
            rows = self._database.execute(
                f"SELECT {values} FROM chosen JOIN ({self._pairs}) ON {chosen} ORDER BY place"
            ).fetchall()
            for place, row in enumerate(rows):
                for column, (differs, old, new) in zip(some, chunks(row, 3), strict=True):
                    if differs and len(cells[place]) < self._limits.sample_columns:
                        was, now = shown(old, self._limits.text), shown(new, self._limits.text)
                        cells[place].append(Cell(column=column.name, before=was, after=now))
                    elif differs:
                        more[place] += 1
        return tuple(
            ChangedRow(
                key=tuple(shown(value, self._limits.text) for value in key), cells=tuple(changed), more=not_shown
            )
            for key, changed, not_shown in zip(found, cells, more, strict=True)
        )

    def _one(self, query: str) -> tuple[int, ...]:
        row = self._database.execute(query).fetchone()
        assert row is not None  # noqa: S101 (an aggregate answers one row)
        return tuple(int(value) for value in row)


def _names(columns: Sequence[Column], of: str = "") -> str:
    return ", ".join(f"{of}{column.sql}" for column in columns)


def _differs(column: Column) -> str:
    return f"b.{column.sql} IS DISTINCT FROM a.{column.sql}"
