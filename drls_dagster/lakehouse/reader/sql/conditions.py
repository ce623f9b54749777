"""What a WHERE says of single columns of one table, so that files which hold no such row are not read.

DuckDB applies the WHERE itself: leaving a condition out here costs time, one that says too much would lose rows. So
only comparisons are taken whose meaning is the same in Iceberg's file statistics: no floats, where NaN is larger than
everything in one and nothing in the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from lifecycle.spec.sqltree import exp

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}$")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?$")
_MOST_VALUES = 200
_LONG = 2**63
_COMPARISONS = {exp.EQ: "=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_TURNED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Condition:
    """`column` (as written) compared by `how`: =, <, <=, >, >=, in, null, not null."""

    column: str
    how: str
    values: tuple[int | str, ...] = ()


def pushed_down(table: exp.Table) -> tuple[Condition, ...]:
    """What the SELECT around the table asks of it, as far as that holds for each of the table's rows it keeps."""
    select = table.find_ancestor(exp.Select)
    clause = select.args.get("where") if select is not None else None
    if select is None or clause is None or not _keeps_only(select, table):
        return ()
    alone = not select.args.get("joins") and not select.args.get("laterals")
    renamed = {one.alias.lower() for one in select.expressions if isinstance(one, exp.Alias)}
    name = (table.alias or table.name).lower()
    found: list[Condition] = []
    for one in _all_of(clause.this):
        condition = _condition(one, name, alone)
        if condition is not None and condition.column.lower() not in renamed:
            found.append(condition)
    return tuple(found)


def expression(conditions: tuple[Condition, ...], schema: Schema, current: Schema) -> BooleanExpression | None:
    """The same for Iceberg, about columns that are the same ones in the table's current schema; None for nothing."""
    from pyiceberg.expressions import And

    found: BooleanExpression | None = None
    for one in conditions:
        field = [field for field in schema.fields if field.name.lower() == one.column.lower()]
        now = {field.name: field for field in current.fields}
        if len(field) != 1 or now.get(field[0].name) != field[0]:
            continue
        made = _made(field[0].name, field[0].field_type, one)
        if made is not None:
            found = made if found is None else And(found, made)
    return found


def _keeps_only(select: exp.Select, table: exp.Table) -> bool:
    """Whether a row of the table that the WHERE refuses can leave no trace in the result."""
    if table.args.get("sample") or table.args.get("pivots") or select.args.get("sample"):
        return False
    first = select.args.get("from_")
    joins: list[exp.Join] = select.args.get("joins") or []
    if any(join.side.upper() not in ("", "LEFT") or join.args.get("method") for join in joins):
        return False
    if first is not None and first.this is table:
        return True
    return any(join.this is table and not join.side and join.kind.upper() in ("", "INNER", "CROSS") for join in joins)


def _all_of(clause: exp.Expr) -> Iterator[exp.Expr]:
    todo = [clause]
    while todo:
        one = todo.pop()
        if isinstance(one, exp.And):
            todo += [one.this, one.expression]
        elif isinstance(one, exp.Paren):
            todo.append(one.this)
        elif isinstance(one, exp.Between) and not one.args.get("symmetric"):
            yield exp.GTE(this=one.this.copy(), expression=one.args["low"].copy())
            yield exp.LTE(this=one.this.copy(), expression=one.args["high"].copy())
        else:
            yield one


def _condition(one: exp.Expr, table: str, alone: bool) -> Condition | None:
    if (how := _COMPARISONS.get(type(one))) is not None:
        left, right = one.this, one.expression
        if not isinstance(left, exp.Column):
            left, right, how = right, left, _TURNED[how]
        return _of(left, how, [right], table, alone)
    if isinstance(one, exp.In) and one.expressions and not one.args.get("query"):
        return _of(one.this, "in", one.expressions, table, alone)
    if isinstance(one, exp.Is) and isinstance(one.expression, exp.Null):
        return _of(one.this, "null", [], table, alone)
    if isinstance(one, exp.Not) and isinstance(one.this, exp.Is) and isinstance(one.this.expression, exp.Null):
        return _of(one.this.this, "not null", [], table, alone)
    return None


def _of(column: exp.Expr, how: str, given: list[exp.Expr], table: str, alone: bool) -> Condition | None:
    values = [_value(one) for one in given]
    if not isinstance(column, exp.Column) or any(one is None for one in values) or len(values) > _MOST_VALUES:
        return None
    parts = [part.name.lower() for part in column.parts]
    if len(parts) > 2 or (parts[:-1] != [table] if len(parts) == 2 else not alone):
        return None
    return Condition(column.name, how, tuple(one for one in values if one is not None))


def _value(one: exp.Expr) -> int | str | None:
    if isinstance(one, exp.Cast) and one.to.this in (exp.DataType.Type.DATE, exp.DataType.Type.TIMESTAMP):
        one = one.this
        if not isinstance(one, exp.Literal) or not one.is_string:
            return None
    if isinstance(one, exp.Neg):
        found = _value(one.this)
        return -found if isinstance(found, int) else None
    if not isinstance(one, exp.Literal):
        return None
    if one.is_string:
        return str(one.this)
    text = str(one.this)
    return int(text) if text.isdigit() and int(text) < _LONG else None


def _made(name: str, kind: IcebergType, one: Condition) -> BooleanExpression | None:
    from pyiceberg import expressions

    made: Any = expressions  # its classes take arguments that their declarations do not show

    if one.how in ("null", "not null"):
        return made.IsNull(name) if one.how == "null" else made.NotNull(name)
    values = [_typed(kind, value) for value in one.values]
    if any(value is None for value in values):
        return None
    known: list[Any] = [value for value in values if value is not None]
    match one.how:
        case "in":
            return made.In(name, known)
        case "=":
            return made.EqualTo(name, known[0])
        case "<":
            return made.LessThan(name, known[0])
        case "<=":
            return made.LessThanOrEqual(name, known[0])
        case ">":
            return made.GreaterThan(name, known[0])
        case _:
            return made.GreaterThanOrEqual(name, known[0])


def _typed(kind: IcebergType, value: int | str) -> int | str | None:
    """A value that Iceberg reads as DuckDB does; None where it might not."""
    from pyiceberg.types import DateType, IntegerType, LongType, StringType, TimestampType, TimestamptzType

    match kind:
        case IntegerType():
            return value if isinstance(value, int) and abs(value) < 2**31 else None
        case LongType():
            return value if isinstance(value, int) else None
        case StringType():
            return value if isinstance(value, str) else None
        case DateType():
            return value if _is_day(value) else None
        case TimestampType() | TimestamptzType():
            zone = "+00:00" if isinstance(kind, TimestamptzType) else ""
            if _is_day(value):
                return f"{value}T00:00:00{zone}"
            if isinstance(value, str) and _MOMENT.match(value) and _parses(value):
                return f"{value.replace(' ', 'T')}{zone}"
            return None
        case _:
            return None


def _is_day(value: int | str) -> bool:
    if not isinstance(value, str) or not _DAY.match(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _parses(value: str) -> bool:
    try:
        datetime.fromisoformat(value).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True
