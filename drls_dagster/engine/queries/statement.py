"""A SELECT that somebody wrote for Spark: which tables it names, and the same with names that mean nothing but them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from itertools import pairwise

from drls_dagster.lakehouse.names import join_name
from drls_dagster.lakehouse.reader.sql.renaming import called, is_of_catalog, parts_of, rename
from lifecycle.errors import Invalid
from lifecycle.spec.sqltree import UNREADABLE, SqlReadError, Walk, exp, parse_query, tokens_of

# These run code, read files (schemas of Avro, Protocol Buffers and XML come from paths) or describe the server.
_REFUSED = frozenset({
    "current_catalog", "current_database", "current_path", "current_schema", "current_user", "from_avro",
    "from_protobuf", "from_xml", "identifier", "input_file_block_length", "input_file_block_start", "input_file_name",
    "java_method", "python_worker_logs", "reflect", "schema_of_avro", "schema_of_xml", "session_user", "to_avro",
    "to_protobuf", "try_reflect", "user", "version",
})  # fmt: skip
_REFUSED_BEGINNINGS = ("read_", "spark_catalog", "sql_")
_REMEDY = "write one SELECT over namespace.table in Spark's SQL"


@dataclass(frozen=True)
class Statement:
    """`sql` is what Spark runs. `views`: by the name of a view in it, the parts of the table that it stands for."""

    sql: str
    views: dict[str, tuple[str, ...]]

    @property
    def tables(self) -> list[str]:
        """The names of the tables, each once."""
        return list(dict.fromkeys(join_name(parts) for parts in self.views.values()))


def read_statement(sql: str) -> Statement:
    """Raises Invalid for anything but one SELECT over tables of the catalog."""
    try:
        tree = parse_query(sql)
        finder = _Finder()
        finder.through(tree)
    except SqlReadError as error:
        raise Invalid(f"{error.message}; {error.remedy or _REMEDY}") from None
    except UNREADABLE:
        raise Invalid(f"the SQL does not parse as Spark's; {_REMEDY}") from None
    if finder.parameters:
        raise Invalid(f"the SQL has the parameter :{next(iter(finder.parameters))[:40]}; write its value instead")
    for message, _ in finder.problems:
        raise Invalid(f"{message}; a query sees the data of tables and nothing else")
    for hint in list(tree.find_all(exp.Hint)):
        hint.pop()
    # No name that the statement can have: a table expression of this name would be read in place of the table.
    mark = uuid.uuid4().hex[:12]
    tables = {f"drls_{mark}_{number}": table for number, table in enumerate(finder.found)}
    views = {name: parts_of(table) for name, table in tables.items()}
    rename(tree, tables)
    text = tree.sql(dialect="spark", comments=False)
    _refuse_calls(text)
    # In brackets only a query is one: whatever else Spark might take the text for is an error there.
    return Statement(f"SELECT * FROM (\n{text}\n)", views)


class _Finder(Walk):
    """Finds each table that the statement reads, and what may not be in it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[exp.Table] = []

    def _look(self, node: exp.Expr, ctes: frozenset[str]) -> None:
        super()._look(node, ctes)
        if isinstance(node, exp.Table):
            self._read(node, ctes)
        elif isinstance(node, exp.Func):
            _may_be_called(called(node))

    def _read(self, table: exp.Table, ctes: frozenset[str]) -> None:
        if isinstance(table.this, exp.Func):
            return
        if is_of_catalog(table, ctes, "spark", "AS OF"):
            self.found.append(table)


def _may_be_called(name: str) -> None:
    if name in _REFUSED or name.startswith(_REFUSED_BEGINNINGS):
        raise Invalid(f"{name[:40]}() may not be called here: a query sees the data of tables and nothing else")


def _refuse_calls(text: str) -> None:
    """Again in the text that Spark gets: a function that the parser has no word for is a name and a bracket."""
    for token, after in pairwise(tokens_of(text)):
        if after.token_type.name == "L_PAREN" and token.token_type.name != "STRING":
            _may_be_called(token.text.lower())
