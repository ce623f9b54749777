"""A SELECT that somebody wrote: which tables it names, and the same with names that mean nothing but them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from drls_dagster.lakehouse.names import join_name
from drls_dagster.lakehouse.reader.sql.conditions import Condition, pushed_down
from drls_dagster.lakehouse.reader.sql.renaming import called, is_of_catalog, parts_of, rename
from lifecycle.errors import Invalid
from lifecycle.spec.sqltree import Walk, exp

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import sqlglot
    from sqlglot.errors import SqlglotError

_LONGEST = 100_000
_TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
_INFORMERS = (
    "current_catalog", "current_connection_id", "current_database", "current_databases", "current_query",
    "current_query_id", "current_role", "current_schema", "current_schemas", "current_setting",
    "current_transaction_id", "current_user", "currval", "getenv", "getvariable", "in_search_path",
    "json_execute_serialized_sql", "nextval", "query", "query_table", "session_user", "set_config", "setseed", "setval",
    "sleep_ms", "stats", "txid_current", "user", "vector_type", "version", "which_secret", "write_log",
)  # fmt: skip
_REFUSED = frozenset(_INFORMERS)
_REFUSED_BEGINNINGS = ("duckdb_", "pg_", "pragma_", "read_", "scan_", "sniff_", "parquet_", "system_")
_WHOLE_ROWS = (exp.Pivot, exp.PositionalColumn, exp.Columns)
_WRITING = (
    exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Alter, exp.Command, exp.Into, exp.Copy,
    exp.Set, exp.Pragma, exp.Attach, exp.Detach, exp.Use,
)  # fmt: skip
# What says nothing of the time, of chance or of the process. Whatever else is called, nothing is kept.
_SAME = (
    exp.Abs, exp.And, exp.Avg, exp.Case, exp.Cast, exp.Ceil, exp.Coalesce, exp.Concat, exp.Count, exp.Floor,
    exp.Greatest, exp.If, exp.Least, exp.Length, exp.Lower, exp.Max, exp.Min, exp.Nullif, exp.Or, exp.Round,
    exp.Substring, exp.Sum, exp.Trim, exp.TryCast, exp.Upper, exp.Xor,
)  # fmt: skip
# DuckDB reads some words as functions, and some texts as times, where nothing in the tree says so.
_BARE = ("current", "local", "user", "session")
_NOW = frozenset({"now", "today", "tomorrow", "yesterday"})
_ONE_SELECT = "write one SELECT; nothing can be changed here"


@dataclass(frozen=True)
class Reference:
    """One place in the statement where a table is read; `source` is its name in DuckDB.

    `columns` (lower case) are all that the statement can mean, None: every one. Only rows that fit all `conditions`
    matter, so that files without any need not be read.
    """

    source: str
    parts: tuple[str, ...]
    alias: str
    columns: frozenset[str] | None
    conditions: tuple[Condition, ...] = ()

    @property
    def name(self) -> str:
        return join_name(self.parts)


@dataclass
class Statement:
    """`sql` is what DuckDB runs. `same`: it answers the same each time for the same rows, as far as is known."""

    sql: str
    references: list[Reference]
    same: bool

    @property
    def tables(self) -> list[str]:
        """The names of the tables, each once."""
        return list(dict.fromkeys(one.name for one in self.references))


def read_statement(sql: str) -> Statement:
    """Raises Invalid for anything but one SELECT over tables of the catalog."""
    tree = _parsed(sql)
    finder = _Finder()
    finder.through(tree)
    references = _renamed(tree, finder.found)
    text = tree.sql(dialect="duckdb", comments=False)
    _refuse_calls(text)
    return Statement(text, references, _answers_the_same(tree))


def _answers_the_same(tree: exp.Expr) -> bool:
    for node in tree.walk():
        if isinstance(node, exp.TableSample) or (isinstance(node, exp.Func) and not isinstance(node, _SAME)):
            return False
        if isinstance(node, exp.Column) and not node.table and node.name.lower().startswith(_BARE):
            return False
        if isinstance(node, exp.Literal) and node.is_string and node.name.strip().lower() in _NOW:
            return False
    return True


def _parsed(sql: str) -> exp.Expr:
    if len(sql) > _LONGEST:
        raise Invalid(f"the SQL is longer than {_LONGEST:,} characters")
    try:
        found = [one for one in sqlglot.parse(sql, read="duckdb") if one is not None]
    except SqlglotError as error:
        first: dict[str, Any] = next(iter(getattr(error, "errors", [])), {})
        where = f" (line {first['line']}, near {str(first.get('highlight'))[:40]!r})" if first.get("line") else ""
        raise Invalid(f"the SQL does not parse as DuckDB's{where}; {_ONE_SELECT}") from None
    except RecursionError:
        raise Invalid("the SQL is nested too deeply") from None
    except (ValueError, KeyError, AttributeError, TypeError, IndexError, AssertionError):
        raise Invalid(f"the SQL does not parse as DuckDB's; {_ONE_SELECT}") from None
    if len(found) != 1:
        raise Invalid(f"the SQL has {len(found)} statements; {_ONE_SELECT}")
    tree = found[0]
    wrong = next(tree.find_all(*_WRITING), None)
    if wrong is not None or not isinstance(tree, exp.Query):
        raise Invalid(f"the SQL is not a query but {(wrong or tree).key.upper()[:20]}; {_ONE_SELECT}")
    return tree


class _Finder(Walk):
    """Finds each table that the statement reads, and what may not be in it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[exp.Table] = []

    def _look(self, node: exp.Expr, ctes: frozenset[str]) -> None:
        if isinstance(node, exp.Table):
            self._read(node, ctes)
        elif isinstance(node, exp.Lateral) and isinstance(node.this, exp.Func):
            _may_be_a_table(node.this)
        elif isinstance(node, exp.Placeholder | exp.Parameter | exp.SessionParameter):
            raise Invalid("the SQL has a parameter; write its value instead")
        elif isinstance(node, exp.Func):
            _may_be_called(called(node))

    def _read(self, table: exp.Table, ctes: frozenset[str]) -> None:
        if isinstance(table.this, exp.Func):
            _may_be_a_table(table.this)
            return
        if is_of_catalog(table, ctes, "duckdb", "AT"):
            self.found.append(table)


def _may_be_a_table(function: exp.Expr) -> None:
    text = function.sql(dialect="duckdb").lower()
    if text.partition("(")[0].strip() not in _TABLE_FUNCTIONS:
        raise Invalid(f"{text.partition('(')[0][:40]}() may not be read as a table here; read tables of the catalog")


def _may_be_called(name: str) -> None:
    if name in _REFUSED or name.startswith(_REFUSED_BEGINNINGS):
        raise Invalid(f"{name[:40]}() may not be called here: a query sees the data of tables and nothing else")


def _refuse_calls(text: str) -> None:
    """Again in the text that DuckDB gets: a function that the parser has no word for is a name and a bracket."""
    tokens = sqlglot.tokenize(text, read="duckdb")
    for token, after in pairwise(tokens):
        if after.token_type.name == "L_PAREN" and token.token_type.name != "STRING":
            _may_be_called(token.text.lower())


def _renamed(tree: exp.Expr, tables: list[exp.Table]) -> list[Reference]:
    """Gives each table a name of its own in DuckDB; what it was called stays its alias."""
    columns = _columns(tree, tables)
    references = [
        Reference(f"drls_table_{number}", parts_of(table), table.alias or table.name, columns, pushed_down(table))
        for number, table in enumerate(tables)
    ]
    rename(tree, {one.source: table for one, table in zip(references, tables, strict=True)})
    return references


def _columns(tree: exp.Expr, tables: list[exp.Table]) -> frozenset[str] | None:
    """Every name in the statement, which a column of it can have at most; None where it means all columns."""
    aliases = {(table.alias or table.name).lower() for table in tables}
    for node in tree.walk():
        if isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count):
            return None
        if isinstance(node, _WHOLE_ROWS) or (isinstance(node, exp.Join) and node.args.get("method")):
            return None
        if isinstance(node, exp.Anonymous) and node.name.lower() == "columns":
            return None
        # SELECT t FROM ns.t AS t is a struct of the whole row.
        if isinstance(node, exp.Column) and not node.table and node.name.lower() in aliases:
            return None
    return frozenset(str(one.this).lower() for one in tree.find_all(exp.Identifier))
