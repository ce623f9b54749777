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
        where = (PINS.c.run_key == run_key) & (PINS.c.epoch == epoch) & (PINS.c.node == node)
        query = sa.select(PINS.c.value).where(where)
        with self._database.read() as connection:
            found = connection.execute(query).scalar_one_or_none()
        if found is not None:
            return found
        value = json.loads(json.dumps(make()))  # made outside the transaction: it may take a while
        row = {"run_key": run_key, "epoch": epoch, "node": node, "value": value}
        with self._database.write() as connection:
            connection.execute(self._database.insert_new(PINS, row))
            return connection.execute(query).scalar_one()
