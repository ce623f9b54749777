"""What runs have published, and up to where they had read: the second source of positions (D4)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa

from drls_dagster.ledger.database import Topic
from drls_dagster.ledger.tables import PUBLISHES


@dataclass(frozen=True)
class PublishRecord:
    """A publish that happened. Receipts, which count as evidence, are the lifecycle's."""

    table_uuid: str
    ref: str
    snapshot_id: int
    run_key: str
    step: str
    partitions: str
    positions: dict[str, int | str]


class Publishes(Topic):
    def record_publish(self, record: PublishRecord) -> None:
        """Safe to repeat."""
        names = ("table_uuid", "ref", "snapshot_id", "run_key", "step", "partitions")
        same = sa.and_(*(PUBLISHES.c[name] == getattr(record, name) for name in names))
        with self._database.write() as connection:
            if connection.execute(sa.select(PUBLISHES.c.seq).where(same).limit(1)).first() is None:
                connection.execute(PUBLISHES.insert().values({**vars(record), "at": time.time()}))

    def publishes(self, table_uuid: str) -> list[PublishRecord]:
        """Those of a table, newest first."""
        query = sa.select(PUBLISHES).where(PUBLISHES.c.table_uuid == table_uuid).order_by(PUBLISHES.c.seq.desc())
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [PublishRecord(**{k: v for k, v in row.items() if k not in ("seq", "at")}) for row in rows]
