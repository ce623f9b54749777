"""Values of a run as literals in a database's SQL: they are put into the syntax tree, never into text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from drls_dagster.connections.databases import Database
from drls_dagster.lakehouse.column_positions import Kind, comparable
from drls_dagster.steps.sources.pins import SourceUnreadable
from drls_dagster.steps.window import no_value
from lifecycle.spec.sqltree import exp


def with_values(node: str, tree: exp.Expr, values: Mapping[str, Any], dialect: str) -> None:
    """Puts the values of `:name`s into the tree. Raises SourceUnreadable for one that there is no value for."""
    for place in list(tree.find_all(exp.Placeholder)):
        name = place.name
        if name not in values:
            raise SourceUnreadable(no_value(node, name))
        place.replace(_literal(node, name, values[name], dialect))


def _literal(node: str, name: str, value: Any, dialect: str) -> exp.Expr:
    if isinstance(value, str):
        return exp.Literal.string(value)
    if isinstance(value, bool | int | float | Decimal | None):
        return exp.convert(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        text = value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
        return _moment(text, "timestamp", "YYYY-MM-DD HH24:MI:SS.FF6", dialect)
    if isinstance(value, date) and not isinstance(value, datetime):
        return _moment(value.isoformat(), "date", "YYYY-MM-DD", dialect)
    # Outside UTC the start of a day is another value for a date, an instant and a wall clock, and which of them a
    # column of the database is, nobody says here.
    raise SourceUnreadable(
        f"node '{node}': the query of a database can use :{name} only where the pipeline's partitions are in UTC; set "
        "their timezone to UTC, or compare in a step below"
    )


def _moment(text: str, kind: str, form: str, dialect: str) -> exp.Expr:
    if dialect == "oracle":  # where a cast reads text as the session's settings say
        return exp.Anonymous(
            this=f"TO_{kind.upper()}", expressions=[exp.Literal.string(text), exp.Literal.string(form)]
        )
    return exp.cast(exp.Literal.string(text), kind)


def value_in(database: Database, kind: Kind, value: str) -> str:
    """The value of a position as SQL. Raises ValueError for text of another kind."""
    found = comparable(kind, value)
    if isinstance(found, datetime):
        text = found.isoformat(sep=" ", timespec="microseconds")
        return _moment(text, "timestamp", "YYYY-MM-DD HH24:MI:SS.FF6", database.dialect).sql(dialect=database.dialect)
    if isinstance(found, date):
        return _moment(found.isoformat(), "date", "YYYY-MM-DD", database.dialect).sql(dialect=database.dialect)
    return f"{found:f}"
