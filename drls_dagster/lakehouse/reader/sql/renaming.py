"""Names in a parsed statement: which are tables, and new ones for these; what they were called stays their alias."""

from __future__ import annotations

from collections.abc import Mapping

from lifecycle.errors import Invalid
from lifecycle.spec.sqltree import exp


def parts_of(table: exp.Table) -> tuple[str, ...]:
    """The parts of a table's name."""
    return tuple(part.name for part in table.parts)


def rename(tree: exp.Expr, tables: Mapping[str, exp.Table]) -> None:
    """Gives each place where `tree` reads a table its name of `tables`."""
    full: set[tuple[str, ...]] = set()
    for name, table in tables.items():
        parts = parts_of(table)
        full.add(tuple(part.lower() for part in parts))
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(parts[-1], quoted=True)))
        table.set("this", exp.to_identifier(name, quoted=True))
        table.set("db", None)
        table.set("catalog", None)
    for column in tree.find_all(exp.Column):
        # ns.t.x is t.x now.
        qualifier = tuple(part.name.lower() for part in column.parts[:-1])
        if len(qualifier) > 1 and qualifier in full:
            column.set("db", None)
            column.set("catalog", None)


def is_of_catalog(table: exp.Table, ctes: frozenset[str], dialect: str, state: str) -> bool:
    """Whether a name is that of a table, and not of a query of WITH. Raises Invalid for what is no name.

    `state`: how the dialect asks for an earlier state of a table.
    """
    if table.args.get("version") or table.args.get("when"):
        raise Invalid(f"a query reads each table at one state; choose it with ref or environment, not with {state}")
    if not all(isinstance(part, exp.Identifier) for part in table.parts):
        raise Invalid(f"{table.sql(dialect=dialect)[:60]} is not the name of a table")
    if len(table.parts) < 2 and table.name.lower() not in ctes:
        raise Invalid(f"{table.name[:60]!r} is not the name of a table; write namespace.table")
    return len(table.parts) > 1


def called(function: exp.Expr) -> str:
    """The name of a function, in lower case."""
    named = function.name if isinstance(function, exp.Anonymous) else getattr(function, "sql_name", lambda: "")()
    return str(named).lower()
