"""What a SQL text reads."""

from __future__ import annotations


def sql_tables(sql: str) -> tuple[str, ...]:
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(sql, dialect="spark")
    ctes = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    return tuple(dict.fromkeys(t.name.lower() for t in tree.find_all(exp.Table) if t.name.lower() not in ctes))


def sql_parameters(sql: str) -> tuple[str, ...]:
    import sqlglot
    from sqlglot import exp

    return tuple(dict.fromkeys(p.name for p in sqlglot.parse_one(sql, dialect="spark").find_all(exp.Placeholder) if p.name))
