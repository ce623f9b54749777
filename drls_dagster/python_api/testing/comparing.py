"""Expected rows against the rows that there are, in any order, with a difference that people can read."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from drls_dagster.python_api.testing.rows import GivenRows

_SHOWN = 10
_LONGEST = 60
_CLOSE = 1e-9  # relative: sums of floating-point numbers depend on the order of rows
Row = dict[str, Any]


def difference(node: str, expected: GivenRows, found: pa.Table) -> str | None:
    """What differs, in lines; None where nothing does. Only the columns that the expected rows name are compared.

    Raises UsageError for expected values that no column of that type can hold.
    """
    import pyarrow as pa

    from drls_dagster.python_api.testing.rows import arrow_rows

    names = _names(expected)
    unknown = [name for name in names if name not in found.column_names]
    if unknown:
        return f"node '{node}' has no column '{unknown[0]}'; it has {', '.join(found.column_names)}"
    if not names:
        rows = found.to_pylist()
        return _told(node, 0, [], [], rows) if rows else None
    types = {name: found.schema.field(name).type for name in names}
    wanted = arrow_rows(f"expected rows of '{node}'", expected, types, there=names, only=True).to_pylist()
    there = pa.table({name: found.column(name) for name in names}).to_pylist()
    missing, unexpected = _unmatched(wanted, there)
    if not missing and not unexpected:
        return None
    matched = len(wanted) - len(missing)
    pairs = _pairs(missing, unexpected)
    return _told(node, matched, pairs, missing, unexpected)


def _names(expected: GivenRows) -> list[str]:
    columns = getattr(expected, "column_names", None)
    if columns is None and not isinstance(expected, Sequence):
        columns = list(expected.columns)
    if columns is not None:
        return list(columns)
    assert isinstance(expected, Sequence), "rows are a table, a frame or a list"  # noqa: S101
    return list(dict.fromkeys(name for row in expected for name in row))


def _unmatched(wanted: list[Row], there: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of each side that the other has not, equal ones first, then those that are close."""
    left: dict[str, list[Row]] = defaultdict(list)
    for row in there:
        left[repr(row)].append(row)
    missing = [row for row in wanted if not _taken(left, row)]
    unexpected = [row for rows in left.values() for row in rows]
    still = []
    for row in missing:
        close = next((other for other in unexpected if all(_same(row[name], other[name]) for name in row)), None)
        if close is None:
            still.append(row)
        else:
            unexpected = [other for other in unexpected if other is not close]
    return still, unexpected


def _taken(left: dict[str, list[Row]], row: Row) -> bool:
    rows = left[repr(row)]
    if rows:
        rows.pop()
        return True
    return False


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=1e-12) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return bool(one == other)


def _pairs(missing: list[Row], unexpected: list[Row]) -> list[tuple[Row, Row]]:
    """Rows that are most likely meant to be the same: at least half of their values are. They leave both lists."""
    pairs: list[tuple[Row, Row]] = []
    for row in list(missing):
        scored = [(sum(_same(row[name], other[name]) for name in row), other) for other in unexpected]
        score, best = max(scored, key=lambda one: one[0], default=(0, None))
        if best is not None and 2 * score >= len(row):
            pairs.append((row, best))
            missing[:] = [one for one in missing if one is not row]
            unexpected[:] = [one for one in unexpected if one is not best]
    return pairs


def _told(
    node: str, matched: int, pairs: Sequence[tuple[Row, Row]], missing: Sequence[Row], unexpected: Sequence[Row]
) -> str:
    counts = (
        (len(pairs), "differ"),
        (len(missing), "missing"),
        (len(unexpected), "unexpected"),
        (matched, "as expected"),
    )
    lines = [f"node '{node}': " + ", ".join(f"{count} {word}" for count, word in counts if count)]
    for row, other in pairs[:_SHOWN]:
        same = {name: value for name, value in row.items() if _same(value, other[name])}
        wrong = [name for name in row if name not in same]
        changes = ", ".join(f"{name} is {_value(other[name])}, expected {_value(row[name])}" for name in wrong)
        lines.append(f"  differs     {_row(same)}: {changes}")
    lines += [f"  missing     {_row(row)}" for row in missing[:_SHOWN]]
    lines += [f"  unexpected  {_row(row)}" for row in unexpected[:_SHOWN]]
    more = sum(max(len(rows) - _SHOWN, 0) for rows in (pairs, missing, unexpected))
    return "\n".join([*lines, *([f"  … and {more} more"] if more else [])])


def _row(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in row.items()) or "a row"


def _value(value: Any) -> str:
    text = repr(value) if isinstance(value, str | bytes) else "null" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
