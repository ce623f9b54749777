"""What the sources of a run are pinned to (D1)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from drls_dagster.ledger.database import Topic
from drls_dagster.ledger.tables import PINS


class Pins(Topic):
    def pin(self, run_key: str, epoch: str, node: str, make: Callable[[], Any]) -> Any:
        """What `node` was pinned to in this run; the first who asks decides by `make()` (D1)."""
        found = self.pinned(run_key, epoch, node)
        if found is not None:
            return found
        value = json.loads(json.dumps(make()))  # made outside the transaction: it may take a while
        row = {"run_key": run_key, "epoch": epoch, "node": node, "value": value}
        with self._database.write() as connection:
            connection.execute(self._database.insert_new(PINS, row))
            return connection.execute(_of(run_key, epoch, node)).scalar_one()

    def pinned(self, run_key: str, epoch: str, node: str) -> Any:
        """What `node` was pinned to in this run; None when nobody has asked yet."""
        with self._database.read() as connection:
            return connection.execute(_of(run_key, epoch, node)).scalar_one_or_none()


def _of(run_key: str, epoch: str, node: str) -> sa.Select[Any]:
    where = (PINS.c.run_key == run_key) & (PINS.c.epoch == epoch) & (PINS.c.node == node)
    return sa.select(PINS.c.value).where(where)
