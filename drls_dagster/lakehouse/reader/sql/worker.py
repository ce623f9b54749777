"""The process that queries run in: it answers one after the other, and is ended by its parent or by its limits.

`python -m drls_dagster.lakehouse.reader.sql.worker MEMORY`; how it is asked: `serving`.
"""

from __future__ import annotations

import sys
from typing import Any

from drls_dagster.lakehouse.reader.sql.serving import serve


def _ready() -> None:
    import duckdb  # noqa: F401
    import pyiceberg.io.pyarrow  # noqa: F401

    from drls_dagster.lakehouse import catalog  # noqa: F401
    from drls_dagster.lakehouse.reader.sql import column_statistics, execute, statement  # noqa: F401


def _answer(state: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    match request["do"]:
        case "read":
            return _read(state, request["sql"])
        case "select":
            return _select(state, request)
        case "changes":
            return _changes(state, request)
        case _:
            return _statistics(state, request)


def _read(state: dict[str, Any], sql: str) -> dict[str, Any]:
    from drls_dagster.lakehouse.reader.sql.statement import read_statement

    state["statement"] = statement = read_statement(sql)
    return {"tables": statement.tables, "same": statement.same}


def _select(state: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """The statement that was read just before, on the tables and snapshots that the parent chose."""
    from drls_dagster.lakehouse.reader.sql.execute import select as run
    from drls_dagster.lakehouse.reader.sql.streams import TableStream

    statement = state.pop("statement")
    streams: dict[str, Any] = {}
    for reference in statement.references:
        table, snapshot, schema = _table(request, reference.name)
        streams[reference.source] = TableStream(table, snapshot, schema, reference.columns, reference.conditions)
    answer = run(statement.sql, streams, memory=state["memory"], **request["limits"])
    return {**answer, "files": sum(one.files for one in streams.values())}


def _statistics(state: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    from drls_dagster.lakehouse.reader.sql.column_statistics import statistics

    table, snapshot, schema = _table(request, "")
    return statistics(table, snapshot, schema, memory=state["memory"], **request["limits"])


def _changes(state: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    from drls_dagster.lakehouse.changes.page import changes_page

    table, until, _ = _table(request, "")
    return changes_page(table, request["since"], until, memory=state["memory"], **request["limits"])


def _table(request: dict[str, Any], name: str) -> tuple[Any, int | None, Any]:
    from drls_dagster.lakehouse.catalog import load_catalog
    from drls_dagster.lakehouse.refs import schema_at

    parts, snapshot = request["pins"][name]
    table = load_catalog(request["settings"]).load_table(tuple(parts))
    return table, snapshot, schema_at(table, snapshot)


if __name__ == "__main__":
    serve(sys.argv[1], _ready, _answer)
