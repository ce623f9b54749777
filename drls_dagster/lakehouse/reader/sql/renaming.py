"""Tables of a parsed statement get names that mean nothing else; what they were called stays their alias."""

from __future__ import annotations

from collections.abc import Mapping

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
