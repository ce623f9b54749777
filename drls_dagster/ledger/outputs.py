"""What steps have materialised (D2), and what checks found on the recipe that they looked at (L5)."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from drls_dagster.ledger.database import Topic
from drls_dagster.ledger.tables import CHECK_RESULTS, OUTPUTS


class Outputs(Topic):
    def output(self, run_key: str, node: str, key: str) -> list[list[Any]] | None:
        """The files of a materialised node, None when it was not materialised in this run (D2).

        They are where the run that made them ran: whoever asks from elsewhere may not reach them.
        """
        with self._database.read() as connection:
            return connection.execute(_of(OUTPUTS, OUTPUTS.c.files, run_key, node, key)).scalar_one_or_none()

    def record_output(self, run_key: str, node: str, key: str, files: list[Any]) -> None:
        row = {"run_key": run_key, "node": node, "key": key, "files": files, "at": time.time()}
        with self._database.write() as connection:
            connection.execute(self._database.upsert(OUTPUTS, row))


class CheckResults(Topic):
    def record_checks(self, run_key: str, node: str, key: str, results: list[dict[str, Any]]) -> None:
        """What the checks on a node found for the recipe `key`; the last word of a retried step counts."""
        row = {"run_key": run_key, "node": node, "key": key, "results": results}
        with self._database.write() as connection:
            connection.execute(self._database.upsert(CHECK_RESULTS, row))

    def checks(self, run_key: str, node: str, key: str) -> list[dict[str, Any]] | None:
        """What the checks on a node found for that recipe, None when nobody has looked in this run."""
        query = _of(CHECK_RESULTS, CHECK_RESULTS.c.results, run_key, node, key)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()


def _of(table: sa.Table, column: sa.Column[Any], run_key: str, node: str, key: str) -> sa.Select[Any]:
    return sa.select(column).where(table.c.run_key == run_key, table.c.node == node, table.c.key == key)
