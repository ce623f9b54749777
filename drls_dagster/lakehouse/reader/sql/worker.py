"""The process that queries run in: it answers one after the other, and is ended by its parent or by its limits.

`python -m drls_dagster.lakehouse.reader.sql.worker MEMORY`: requests (pickles of the parent) arrive on standard input,
answers (JSON, for what has run a stranger's SQL is not believed more than that) go to standard output, each behind its
length in eight bytes.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import resource
import select
import sys
from pathlib import Path
from typing import IO, Any

_IDLE_SECONDS = 120
_OWN = 700_000_000  # bytes that Arrow, a piece of a table and the answer take besides
_WORN = 300_000_000
_UNITS = {"M": 10**6, "G": 10**9}


def main(memory: str) -> None:
    os.nice(5)
    answers = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not be taken for an answer.
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    state: dict[str, Any] = {"memory": memory}
    ready = _ready()
    start = _data()
    most = start + int(re.sub(r"\D", "", memory)) * _UNITS[memory[-2]] + _OWN
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    _send(answers, ready)
    while (request := _receive(sys.stdin.buffer)) is not None:
        answer = _answer(state, request)
        # Libraries keep what they once had: the next query gets a new process.
        _send(answers, {**answer, "worn": _data() - start > _WORN})
    # Nothing is left to clean up, and DuckDB's bindings complain of how Python ends.
    os._exit(0)


def _data() -> int:
    """The bytes of this process that its limit counts."""
    found = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii", errors="replace"))
    return int(found[1]) * 1024 if found else 0


def _ready() -> dict[str, Any]:
    """What takes a second to import is imported before the clock of the first query runs."""
    import duckdb  # noqa: F401
    import pyiceberg.io.pyarrow  # noqa: F401

    from drls_dagster.lakehouse import catalog  # noqa: F401
    from drls_dagster.lakehouse.reader.sql import column_statistics, execute, statement  # noqa: F401

    return {"ready": True}


def _send(stream: IO[bytes], answer: dict[str, Any]) -> None:
    body = json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass")
    stream.write(len(body).to_bytes(8, "big") + body)
    stream.flush()


def _receive(stream: IO[bytes]) -> dict[str, Any] | None:
    """The next request; None when the parent is gone, or asked nothing for a while."""
    ready, _, _ = select.select([stream], [], [], _IDLE_SECONDS)
    head = stream.read(8) if ready else b""
    if len(head) < 8:
        return None
    found: dict[str, Any] = pickle.loads(stream.read(int.from_bytes(head, "big")))  # noqa: S301 (the parent's own)
    return found


def _answer(state: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    from lifecycle.errors import DrlsError

    try:
        match request["do"]:
            case "read":
                return _read(state, request["sql"])
            case "select":
                return _select(state, request)
            case "changes":
                return _changes(state, request)
            case _:
                return _statistics(state, request)
    except DrlsError as error:
        return {"failed": type(error).__name__, "message": error.message}
    except MemoryError:
        return {"failed": "TooMuch", "message": ""}
    except RecursionError:
        return {"failed": "Invalid", "message": "the SQL is nested too deeply"}
    except Exception as error:  # noqa: BLE001 (each storage has errors of its own; the parent waits for an answer)
        from drls_dagster.lakehouse.catalog_config import resolve_catalog
        from lifecycle.errors import one_line

        clean = resolve_catalog(request["settings"]).without_secrets(one_line(error))
        return {"failed": "CannotRead", "message": f"the tables cannot be read: {clean}"}


def _read(state: dict[str, Any], sql: str) -> dict[str, Any]:
    from drls_dagster.lakehouse.reader.sql.statement import read_statement

    state["statement"] = statement = read_statement(sql)
    return {"tables": statement.tables}


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
    main(sys.argv[1])
