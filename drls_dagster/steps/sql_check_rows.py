"""What is behind the boolean of a SQL check: a query for the rows that it counts, or for the numbers it compares."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.spec.sqltree import SqlReadError, exp, parse_query

_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.Between, exp.Is, exp.In)
_NONE = {exp.EQ: 0, exp.LTE: 0, exp.LT: 1}  # `count(*) = 0`, `count(*) <= 0`, `count(*) < 1`
_MOST = 8  # numbers of one check
_LONGEST = 60


def query_behind(sql: str) -> str | None:
    """A query for rows that show why the check is not true; None where nothing but its boolean is known.

    `SELECT count(*) = 0 FROM t WHERE bad` and `SELECT NOT EXISTS (…)` name rows; of others, the compared numbers tell.
    """
    try:
        tree = parse_query(sql).copy()
    except SqlReadError:
        return None
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1:
        return None
    asked = tree.expressions[0].unalias().unnest()
    found = _rows(tree, asked) or _numbers(tree, asked)
    return None if found is None else found.sql(dialect="spark", comments=False)


def _rows(tree: exp.Select, asked: exp.Expr) -> exp.Query | None:
    """The rows that `asked` says there are none of."""
    if isinstance(asked, exp.Not):
        inner = asked.this.unnest()
        if isinstance(inner, exp.Exists) and _is_alone(tree):
            return _with_tables_of(tree, inner.this.unnest())
        return None
    counted = _counted(asked)
    if counted is None:
        condition = _of_each_row(asked)
        return None if condition is None or _is_grouped(tree) else _where(tree, exp.not_(condition.copy()))
    if isinstance(counted, exp.Subquery):
        inner = counted.this
        only = inner.expressions[0].unalias() if isinstance(inner, exp.Select) and len(inner.expressions) == 1 else None
        if only is None or not _is_alone(tree) or _is_grouped(inner):
            return None
        rows = _rows_of_count(inner, only)
        return None if rows is None else _with_tables_of(tree, rows)
    return None if _is_grouped(tree) else _rows_of_count(tree, counted)


def _of_each_row(asked: exp.Expr) -> exp.Expr | None:
    """The condition that `asked` wants every row to meet."""
    if isinstance(asked, exp.LogicalAnd):
        return asked.this
    is_every = isinstance(asked, exp.Anonymous) and asked.name.lower() == "every"
    return asked.expressions[0] if is_every and len(asked.expressions) == 1 else None


def _counted(asked: exp.Expr) -> exp.Expr | None:
    """What `asked` wants to be none."""
    none = _NONE.get(type(asked))
    if none is not None and _is_number(asked.expression, none):
        return asked.this.unnest() if not isinstance(asked.this, exp.Subquery) else asked.this
    if isinstance(asked, exp.EQ) and _is_number(asked.this, 0):
        return asked.expression if isinstance(asked.expression, exp.Subquery) else asked.expression.unnest()
    return None


def _rows_of_count(tree: exp.Select, count: exp.Expr) -> exp.Select | None:
    if isinstance(count, exp.CountIf):
        return _where(tree, count.this.copy())
    if not isinstance(count, exp.Count) or isinstance(count.this, exp.Distinct) or count.expressions:
        return None
    if isinstance(count.this, exp.Star | exp.Literal):
        return _where(tree, None)
    return _where(tree, exp.Not(this=exp.Is(this=count.this.copy(), expression=exp.Null())))


def _where(tree: exp.Select, condition: exp.Expr | None) -> exp.Select:
    found = tree.copy()
    found.set("expressions", [exp.Star()])
    found.set("order", None)
    return found if condition is None else found.where(condition, copy=False)


def _numbers(tree: exp.Select, asked: exp.Expr) -> exp.Select | None:
    """The same query for what is compared, under its own text."""
    found: dict[str, exp.Expr] = {}
    for one in _operands(asked):
        name = one.sql(dialect="spark", comments=False, normalize_functions="lower")
        found.setdefault(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…", one)
    if not found or asked.key in {name.lower() for name in found}:
        return None
    told = tree.copy()
    told.set("order", None)
    columns = list(found.items())[:_MOST]
    told.set("expressions", [exp.alias_(one.copy(), name, quoted=True) for name, one in columns])
    return told


def _operands(asked: exp.Expr) -> Iterator[exp.Expr]:
    plain = asked if isinstance(asked, exp.Subquery) else asked.unnest()
    if isinstance(plain, exp.And | exp.Or):
        yield from _operands(plain.this)
        yield from _operands(plain.expression)
    elif isinstance(plain, exp.Not):
        yield from _operands(plain.this)
    elif isinstance(plain, _COMPARED):
        names = ("this", "expression", "low", "high")
        sides = [side for name in names if isinstance(side := plain.args.get(name), exp.Expr)]
        yield from (
            side for side in sides if not isinstance(side, exp.Literal | exp.Null | exp.Boolean | exp.Placeholder)
        )


def _is_number(node: exp.Expr, value: int) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and node.this == str(value)


def _is_alone(tree: exp.Select) -> bool:
    """Whether the query reads nothing itself, but for its subquery."""
    return not any(tree.args.get(name) for name in ("from_", "from", "where", "group", "having", "joins"))


def _is_grouped(tree: exp.Select) -> bool:
    return any(tree.args.get(name) for name in ("group", "having", "distinct", "limit", "qualify"))


def _with_tables_of(tree: exp.Select, rows: exp.Expr) -> exp.Query | None:
    """`rows` after the common table expressions of `tree`."""
    if not isinstance(rows, exp.Query):
        return None
    found = rows.copy()
    if isinstance(found, exp.Select) and all(isinstance(one, exp.Literal) for one in found.expressions):
        found.set("expressions", [exp.Star()])  # EXISTS (SELECT 1 FROM …)
    name = "with_" if "with_" in tree.args else "with"
    if tree.args.get(name) is not None:
        if found.args.get(name) is not None:
            return None
        found.set(name, tree.args[name].copy())
    return found
