"""Dagster's event log in SQLite, for a process in which somebody waits for a run.

Dagster's own makes an engine for every statement, and so compiles its SQL anew, and has transactions for every event:
six assets in twelve partitions are some 150 events, and a second and a half. Files, tables and rows are the same,
and every other process reads and writes them with Dagster's own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from drls_dagster.dagster_private.sqlite import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    INDEX_SHARD_NAME,
    SQLITE_BUSY_TIMEOUT_SECONDS,
    DagsterSqliteStorage,
    SqliteEventLogStorage,
)

if TYPE_CHECKING:
    from dagster import EventLogEntry

    from drls_dagster.dagster_private.instance import ConfigurableClassData, InstanceRef

BATCH_SIZE = 1000


class BatchingEventLog(SqliteEventLogStorage):
    """Keeps an engine for each of its databases, and stores a batch of events in one transaction of each."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, sa.Engine] = {}
        super().__init__(base_dir, inst_data)
        self._db_lock = threading.RLock()  # a batch has a run's database and the index open at once

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            engine = self._engines.get(shard)
            if engine is None:
                engine = sa.create_engine(
                    self.conn_string_for_shard(shard),
                    poolclass=NullPool,
                    connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
                )
                self._engines[shard] = engine
            if shard not in self._initialized_dbs:
                self._initdb(engine, for_index_shard=shard == INDEX_SHARD_NAME)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """All of the events or none of them, as far as two databases allow; they are of one run."""
        checked: list[tuple[EventLogEntry, int]] = []
        with self.run_connection(events[0].run_id) as run, self.index_connection() as index:
            newest: dict[tuple[object, object], tuple[EventLogEntry, int]] = {}
            for event in events:
                statement = self.prepare_insert_event(event)
                run.execute(statement)
                kind = event.dagster_event_type
                if kind not in ASSET_EVENTS and kind not in ASSET_CHECK_EVENTS:
                    continue
                event_id = self._inserted(index, statement)
                if kind in ASSET_CHECK_EVENTS:
                    checked.append((event, event_id))
                else:
                    self._store_asset_event_tags(index, [event], [event_id])
                    newest[(kind, event.get_dagster_event().asset_key)] = (event, event_id)
            # An asset has one row, in which the last event of a kind replaces those before it.
            for event, event_id in newest.values():
                self._store_asset_event(index, event, event_id)
        for event, event_id in checked:
            self.store_asset_check_event(event, event_id)

    @staticmethod
    def _inserted(connection: sa.Connection, statement: sa.Insert) -> int:
        key = connection.execute(statement).inserted_primary_key
        assert key is not None, "an event's row has a key that SQLite makes"  # noqa: S101
        return key[0]


class BatchingStorage(DagsterSqliteStorage):
    """Dagster's storage in SQLite, with this event log."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = BatchingEventLog(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> BatchingStorage:
        return cls.from_local(inst_data=inst_data, **config_value)


def batching(ref: InstanceRef) -> InstanceRef:
    """The instance with this storage, where it has Dagster's in SQLite; any other one as it is.

    From then on Dagster hands events of this process over in batches.
    """
    stored = ref.storage_data
    if stored is None or stored.class_name != DagsterSqliteStorage.__name__:
        return ref
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(BATCH_SIZE))
    own = stored._replace(module_name=__name__, class_name=BatchingStorage.__name__)
    return ref._replace(storage_data=own)
