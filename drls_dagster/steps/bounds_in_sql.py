""":partition_start and :partition_end as what SQL compares them with.

One instant is another value for a date, a timestamp and a wall clock (timestamp_ntz). Spark would compare a date with
a timestamp as midnight in UTC, so that SQL and sink would mean different windows.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from drls_dagster.errors import DrlsError
from drls_dagster.steps.bound_uses import uses_of
from drls_dagster.steps.window import Bound, Kind

Schemas = Mapping[str, Mapping[str, str]]
"""Type by column, by table that the SQL reads."""


def with_bounds(sql: str, bounds: Mapping[str, Bound], schemas: Schemas) -> str:
    """`sql` with each `:name` of `bounds` replaced by a literal of the type that it is compared with.

    Where that type is not known it is the type of the partitions' column; where nothing is compared it is a date, or a
    timestamp where the partitions are hours. Line numbers do not change.
    """
    places = _places(sql, bounds)
    if not places:
        return sql
    numbered = {f"drls_bound_{number}": place for number, place in enumerate(places)}
    marked = _replaced(sql, {place: f":{name}" for name, place in numbered.items()})
    kinds = _kinds(marked, schemas, {name: bounds[place[2]].column for name, place in numbered.items()})
    literals: dict[Place, str] = {}
    for name, kind in kinds.items():
        bound = bounds[numbered[name][2]]
        plain: Kind = "timestamp" if bound.hourly else "date"
        # No run compares days with hours: as before, a date is then compared with a timestamp.
        fits = kind is not None and not (bound.hourly and kind == "date")
        literals[numbered[name]] = bound.sql(kind if kind and fits else plain)
    return _replaced(sql, literals)


Place = tuple[int, int, str]  # first and last character of `:name`, and the name


def _places(sql: str, names: Mapping[str, Any]) -> list[Place]:
    from lifecycle.spec.sqltree import tokens_of

    found: list[Place] = []
    tokens = tokens_of(sql)
    for colon, name in itertools.pairwise(tokens):
        if colon.text == ":" and name.text in names:
            found.append((colon.start, name.end, name.text))
    return found


def _replaced(sql: str, texts: Mapping[Place, str]) -> str:
    for place in sorted(texts, reverse=True):
        sql = sql[: place[0]] + texts[place] + sql[place[1] + 1 :]
    return sql


def _kinds(sql: str, schemas: Schemas, usual: Mapping[str, str]) -> dict[str, Kind | None]:
    """The type that each placeholder is compared with or cast to; None where it is neither.

    `usual` has the column whose type counts where that of the other side is not known.
    """
    from lifecycle.spec.sqltree import UNREADABLE, annotate_types, exp, parse_query, qualify

    tree = parse_query(sql)
    known: dict[str, object] = {table: _plain(columns) for table, columns in schemas.items()}
    try:
        tree = qualify(tree, schema=known, dialect="spark", validate_qualify_columns=False, quote_identifiers=False)
        tree = annotate_types(tree, schema=known, dialect="spark")
    except UNREADABLE:
        tree = parse_query(sql)  # columns keep their own names, which often is enough
    types = {name.lower(): kind for columns in schemas.values() for name, kind in columns.items()}
    found: dict[str, Kind | None] = {}
    for placeholder in tree.find_all(exp.Placeholder):
        name = str(placeholder.this)
        if name in usual:
            found[name] = _one_kind(placeholder, types, usual[name])
    return found


def _one_kind(placeholder: Any, types: Mapping[str, str], usual: str) -> Kind | None:
    """The type that a bound has to have. Raises DrlsError where it cannot be one: the wrong rows would be read."""
    kinds: dict[Kind, None] = {}
    for others in uses_of(placeholder, lambda one: _moment(one, types) is not None):
        kind: Kind | None = next((known for one in others if (known := _kind_of(one, types, usual))), None)
        if kind is not None:
            kinds[kind] = None
    if len(kinds) > 1:
        raise DrlsError(
            f"the SQL hands a bound of the partition on to places that compare it with {' and '.join(kinds)}, which "
            "are different moments in the pipeline's time zone; write :partition_start or :partition_end at each of "
            "these places instead"
        )
    return next(iter(kinds), None)


def _moment(expression: Any, types: Mapping[str, str]) -> Kind | None:
    """The type of an expression that is known to be a date or time."""
    from lifecycle.spec.sqltree import exp

    if isinstance(expression, exp.Column):
        kind = expression.type
        known = None if kind is None or kind.is_type("unknown") else _known(kind.sql("spark"))
        return known or _known(types.get(expression.name.lower(), ""))
    if isinstance(expression, exp.Cast | exp.TryCast | exp.Date | exp.TsOrDsToDate | exp.Paren | exp.Timestamp):
        return _moment(expression.this, types) if isinstance(expression, exp.Paren) else _kind_of(expression, types, "")
    return None


def _kind_of(expression: Any, types: Mapping[str, str], usual: str) -> Kind | None:
    from lifecycle.spec.sqltree import exp

    if isinstance(expression, exp.Cast | exp.TryCast):
        return _known(expression.to.sql("spark"))
    if isinstance(expression, exp.Date | exp.TsOrDsToDate):
        return "date"
    kind = expression.type
    if kind is not None and not kind.is_type("unknown"):
        return _known(kind.sql("spark"))
    # A function that the parser has no type for, or a column that it could not place: its first column tells.
    names = [*(column.name for column in expression.find_all(exp.Column)), usual]
    return next((known for name in names if (known := _known(types.get(name.lower(), "")))), None)


def _known(kind: str) -> Kind | None:
    names: dict[str, Kind] = {
        "date": "date", "timestamp": "timestamp", "timestamp_ltz": "timestamp", "timestamptz": "timestamp",
        "timestamp_ntz": "timestamp_ntz",
    }  # fmt: skip
    return names.get(kind.lower())


def _plain(columns: Mapping[str, str]) -> dict[str, str]:
    return {name: kind for name, kind in columns.items() if "<" not in kind and "interval" not in kind}
