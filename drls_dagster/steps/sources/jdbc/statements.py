"""What is sent to a database: one SELECT, written anew from its syntax tree.

Spark puts a source's query into a query of its own as text, and drivers run several statements at once: without a look
at it, `1) q; DROP TABLE t; --` would do that. Text that parser and database could read differently does not reach it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drls_dagster.connections.databases import Database
from drls_dagster.steps.sources.jdbc.values import with_values
from drls_dagster.steps.sources.pins import SourceUnreadable
from lifecycle.spec.sqltree import MAX_SQL, exp

NAME = "drls_source"
_REMEDY = "write one SELECT, or a view in the database"
_CHANGES = (
    *(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.DDL, exp.Drop, exp.Alter, exp.TruncateTable),
    *(exp.Command, exp.Into, exp.Lock, exp.Set),
)
_SECOND = re.compile(r";|--|/\*|#")


def selected(
    node: str,
    table: str | None,
    query: str | None,
    database: Database | None,
    values: Mapping[str, Any] | None = None,
) -> str:
    """What follows FROM: the table's name, or the query in brackets, with `values` for its `:name`s.

    Without `values` it is only looked at. Raises SourceUnreadable.
    """
    if query is None:
        assert table is not None, "a source has one of both"  # noqa: S101
        return table
    return f"({_checked(node, query, database, values)}) {NAME}"


def _checked(node: str, query: str, database: Database | None, values: Mapping[str, Any] | None) -> str:
    import sqlglot
    from sqlglot.errors import SqlglotError

    where = f"node '{node}': the query"
    if len(query) > MAX_SQL:
        raise SourceUnreadable(f"{where} is longer than {MAX_SQL:,} characters; {_REMEDY}")
    dialect = database.dialect if database is not None else None
    try:
        trees = sqlglot.parse(query, read=dialect)
    except (SqlglotError, RecursionError) as error:
        at = getattr(error, "errors", None) or [{}]
        line = f" in line {at[0]['line']}" if at[0].get("line") else ""
        label = database.label if database is not None else "the database"
        raise SourceUnreadable(f"{where} does not parse{line} as SQL of {label}; {_REMEDY}") from None
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Query):
        raise SourceUnreadable(f"{where} is not one SELECT; {_REMEDY}")
    found = tree.find(*_CHANGES)
    if found is not None:
        raise SourceUnreadable(f"{where} has {found.key.upper()} in it, which reads nothing; {_REMEDY}")
    if database is not None:
        if values is not None:
            with_values(node, tree, values, database.dialect)
        return tree.sql(dialect=dialect, comments=False, normalize_functions=False)
    if tree.find(exp.Placeholder):
        raise SourceUnreadable(
            f"{where} has parameters, which work with the drivers that DRLS knows; write their values"
        )
    # No dialect is known to write it in, so it stays as it is: without what could end it.
    if _SECOND.search(query):
        raise SourceUnreadable(f"{where} has a semicolon or a comment in it; remove it, or {_REMEDY}")
    return query
