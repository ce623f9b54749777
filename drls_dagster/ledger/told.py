"""What a run tells people of itself: the columns of its sources, rows that failed a check, the tools it ran with.

No rule reads it. It is small, and kept as long as the branch of a failed check.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from drls_dagster.ledger.branches import FAILED_CHECK_DAYS
from drls_dagster.ledger.database import Topic
from drls_dagster.ledger.tables import EXECUTIONS, PINS, TOLD

LARGEST = 32_000  # bytes of JSON
MOST = 500  # of one run
TOOLS_DAYS = 30


class About(StrEnum):
    """COLUMNS: [name, type] of a source. ROWS: of each failed check, columns and rows. TOOLS: versions, by name."""

    COLUMNS = "columns"
    ROWS = "rows"
    TOOLS = "tools"


_DAYS = {About.COLUMNS: TOOLS_DAYS, About.ROWS: FAILED_CHECK_DAYS, About.TOOLS: TOOLS_DAYS}


class Told(Topic):
    def note(self, run_id: str, node: str, about: About, value: Any) -> None:
        """Keeps it, over what the run said before. What is more than people read is not kept."""
        if len(json.dumps(value)) > LARGEST:
            return
        now = time.time()
        row = {"run_id": run_id, "node": node, "topic": about.value, "value": value, "at": now}
        with self._database.write() as connection:
            count = sa.select(sa.func.count()).where(TOLD.c.run_id == run_id)
            if connection.execute(count).scalar_one() >= MOST:
                return
            for topic, days in _DAYS.items():
                old = (TOLD.c.topic == topic.value) & (TOLD.c.at < now - days * 86_400)
                connection.execute(TOLD.delete().where(old))
            connection.execute(self._database.upsert(TOLD, row))

    def told(self, run_id: str, about: About) -> Mapping[str, Any]:
        """What the run said, by node; nothing when it is too long ago."""
        query = sa.select(TOLD.c.node, TOLD.c.value).where(
            TOLD.c.run_id == run_id, TOLD.c.topic == about.value, TOLD.c.at > time.time() - _DAYS[about] * 86_400
        )
        with self._database.read() as connection:
            return {row.node: row.value for row in connection.execute(query)}

    def pins_of(self, run_id: str) -> Mapping[str, Any]:
        """What the run read, by source: what it pinned first, or the run that it resumes (D1)."""
        keys = sa.select(EXECUTIONS.c.run_key).where(EXECUTIONS.c.run_id == run_id)
        query = sa.select(PINS.c.node, PINS.c.value).where(PINS.c.epoch == "0", PINS.c.run_key.in_(keys))
        with self._database.read() as connection:
            return {row.node: row.value for row in connection.execute(query)}
