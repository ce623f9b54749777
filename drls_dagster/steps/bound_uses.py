"""What the value of a bound is compared with in a query: itself, and wherever a subquery hands it on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Uses = list[list[Any]]
"""For each comparison the expressions on its other side, the likeliest to tell a type first."""


def uses_of(placeholder: Any, is_moment: Callable[[Any], bool]) -> Uses:
    """Every comparison that the value takes part in, as itself or as a column of a subquery, of WITH or of VALUES.

    `is_moment(expression)`: whether it is known to be a date or time, as the other side of a difference.
    """
    found: Uses = []
    seen: set[int] = set()
    waiting = [placeholder]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        others, handed_on = _climb(node, is_moment)
        if others:
            found.append(others)
        waiting += handed_on
    return found


def _climb(node: Any, is_moment: Callable[[Any], bool]) -> tuple[list[Any], list[Any]]:
    """What the value of `node` is compared with, or the columns that have this value elsewhere in the query."""
    from lifecycle.spec.sqltree import exp

    parent = node.parent
    beside: list[Any] = []  # other values that may come out instead of this one
    while True:
        if isinstance(parent, exp.Paren | exp.Alias | exp.Array):
            pass
        elif isinstance(parent, exp.Add | exp.Sub):
            other = next((one for one in operands(parent) if one is not node), None)
            if other is not None and is_moment(other):
                return [other], []  # a difference of two moments
        elif isinstance(parent, exp.Coalesce | exp.Greatest | exp.Least):
            beside += [one for one in operands(parent) if one is not node]
        elif isinstance(parent, exp.If) and isinstance(parent.parent, exp.Case):
            case = parent.parent
            if node is parent.this:
                return ([case.this] if case.this is not None else []), []
            beside += [one for one in _results(case) if one is not node]
            parent = case
        elif isinstance(parent, exp.If | exp.Case):
            beside += [one for one in _results(parent) if one is not node]
        elif isinstance(parent, exp.TsOrDsToDate) and isinstance(parent.parent, exp.DateDiff):
            pass  # how the parser writes the arguments of datediff()
        elif isinstance(parent, exp.Select) and node in parent.expressions:
            node, columns = _output(parent, parent.expressions.index(node), node.alias_or_name)
            if node is None:
                return beside, columns
            parent = node.parent
            continue
        else:
            break
        node, parent = parent, parent.parent
    return _compared(node, parent, beside)


def _compared(node: Any, parent: Any, beside: list[Any]) -> tuple[list[Any], list[Any]]:
    from lifecycle.spec.sqltree import exp

    if isinstance(parent, exp.Cast | exp.TryCast | exp.Date | exp.Timestamp | exp.TsOrDsToDate):
        return [parent], []
    if isinstance(parent, exp.DateDiff | exp.TimestampDiff | exp.DatetimeDiff | exp.MonthsBetween):
        others = (one for one in operands(parent) if one is not node and one is not parent.args.get("unit"))
        return [one.this if isinstance(one, exp.TsOrDsToDate) else one for one in others], []
    if isinstance(parent, exp.Between | exp.In | exp.Predicate | exp.Binary | exp.ArrayContains):
        return [one for one in operands(parent) if one is not node] + beside, []
    if isinstance(parent, exp.Tuple):
        at = parent.expressions.index(node)
        if isinstance(parent.parent, exp.Values):
            return [], _of_values(parent.parent, at)
        rows = [one for one in operands(parent.parent) if isinstance(one, exp.Tuple) and one is not parent]
        return [one.expressions[at] for one in rows if len(one.expressions) > at], []
    if isinstance(parent, exp.Func) and isinstance(parent.parent, exp.Between | exp.In | exp.Predicate | exp.Binary):
        # The same function of a column: `unix_timestamp(at) >= unix_timestamp(:partition_start)`.
        same = [one for one in operands(parent.parent) if one is not parent and _name(one) == _name(parent)]
        return [column for one in same for column in one.find_all(exp.Column)], []
    return beside, []


def _output(select: Any, at: int, name: str) -> tuple[Any, list[Any]]:
    """A subquery that is itself a value, or the columns by which others know what a query selects at a place."""
    from lifecycle.spec.sqltree import exp

    query = select
    while isinstance(query.parent, exp.SetOperation | exp.Paren):
        query = query.parent
        if isinstance(query, exp.SetOperation):
            name = query.named_selects[at] if len(query.named_selects) > at else name
    owner = query.parent
    if isinstance(owner, exp.In):
        return query, []
    if not isinstance(owner, exp.Subquery | exp.CTE):
        return None, []
    if isinstance(owner, exp.Subquery) and not isinstance(owner.parent, exp.From | exp.Join | exp.Lateral):
        return owner, []
    return None, _columns(select, owner, at, name)


def _of_values(values: Any, at: int) -> list[Any]:
    from lifecycle.spec.sqltree import exp

    owner = values
    while isinstance(owner.parent, exp.Subquery) and not owner.args.get("alias"):
        owner = owner.parent
    return _columns(values, owner, at, f"col{at + 1}")


def _columns(inside: Any, owner: Any, at: int, name: str) -> list[Any]:
    """The columns that mean the output of `owner` with that number, except its own."""
    from lifecycle.spec.sqltree import exp

    alias = owner.args.get("alias")
    table = str(owner.alias_or_name or "").lower()
    given = [column.name for column in alias.columns] if isinstance(alias, exp.TableAlias) else []
    if len(given) > at and not given[at].startswith("_col_"):  # a name that the parser made up, Spark does not know
        name = given[at]
    name = name.lower()
    own = {id(column) for column in owner.find_all(exp.Column)}
    tables = {table} | _other_names(owner, table)
    outside = (one for one in inside.root().find_all(exp.Column) if id(one) not in own)
    return [one for one in outside if one.name.lower() == name and (not one.table or one.table.lower() in tables)]


def _other_names(owner: Any, table: str) -> set[str]:
    """The aliases under which queries read what WITH names."""
    from lifecycle.spec.sqltree import exp

    if not isinstance(owner, exp.CTE):
        return set()
    return {
        str(one.alias).lower() for one in owner.root().find_all(exp.Table) if one.name.lower() == table and one.alias
    }


def _results(expression: Any) -> list[Any]:
    """The values that CASE or if() may give."""
    from lifecycle.spec.sqltree import exp

    if isinstance(expression, exp.Case):
        found = [one.args.get("true") for one in expression.args.get("ifs") or []]
        return [one for one in (*found, expression.args.get("default")) if one is not None]
    return [one for name in ("true", "false") if (one := expression.args.get(name)) is not None]


def operands(expression: Any) -> list[Any]:
    """The expressions that an expression is made of."""
    from lifecycle.spec.sqltree import exp

    children = [one for value in expression.args.values() for one in (value if isinstance(value, list) else [value])]
    return [one for one in children if isinstance(one, exp.Expr)]


def _name(expression: Any) -> tuple[type, str]:
    """Which function it is; those that the parser does not know have their names as text."""
    return type(expression), str(expression.this).lower() if isinstance(expression.this, str) else ""
