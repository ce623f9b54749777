"""The process that asks Spark: it has the client of one query after the other, and is ended by its limits.

`python -m drls_dagster.engine.queries.worker MEMORY`; how it is asked: `drls_dagster.lakehouse.reader.sql.serving`.
"""

from __future__ import annotations

import sys
from typing import Any

from drls_dagster.lakehouse.reader.sql.serving import serve


def _ready() -> None:
    import drls_dagster.engine.connection
    import drls_dagster.engine.queries.execute
    import drls_dagster.engine.queries.statement  # noqa: F401


def _answer(state: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    match request["do"]:
        case "read":
            from drls_dagster.engine.queries.statement import read_statement

            state["statement"] = statement = read_statement(request["sql"])
            return {"tables": statement.tables}
        case "select":
            from drls_dagster.engine.queries.execute import select

            return select(
                request["settings"], state.pop("statement"), request["pins"], request["session"], **request["limits"]
            )
        case _:
            from drls_dagster.engine.session import interrupt

            return {"confirmed": interrupt(request["settings"], request["session"], request["engine"])}


if __name__ == "__main__":
    serve(sys.argv[1], _ready, _answer)
