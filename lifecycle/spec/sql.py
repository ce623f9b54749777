"""What a SQL text reads, found by parsing it as Spark SQL and never by running it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from lifecycle.spec.errors import Problem, SpecError


@dataclass(frozen=True, slots=True)
class SqlFacts:
    """What was found in a SQL text. With `problems`, (message, remedy) each, the rest is not complete.

    `tables` are lower case, for Spark takes names so; a name of several parts is kept unchanged.
    """

    tables: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    problems: tuple[tuple[str, str | None], ...] = ()


def sql_tables(sql: str) -> tuple[str, ...]:
    """The tables that a query reads, in order of appearance; CTEs and aliases are not tables.

    Names are lower case, for Spark takes them so. Raises SpecError if the SQL is not one query.
    """
    return _right(sql).tables


def sql_parameters(sql: str) -> tuple[str, ...]:
    """The names of the `:name` parameters of a query. Raises SpecError if the SQL is not one query."""
    return _right(sql).parameters


def _right(sql: str) -> SqlFacts:
    facts = sql_facts(sql)
    if facts.problems:
        raise SpecError(Problem(None, "sql", message, remedy) for message, remedy in facts.problems)
    return facts


@lru_cache(maxsize=4096)
def sql_facts(sql: str) -> SqlFacts:
    """What a SQL text reads, or what is wrong with it."""
    from lifecycle.spec.sqltree import SqlReadError, Walk, parse_query

    walk = Walk()
    try:
        walk.through(parse_query(sql))
    except SqlReadError as error:
        return SqlFacts(problems=((error.message, error.remedy),))
    return SqlFacts(tuple(walk.tables), tuple(walk.parameters), tuple(walk.problems))
