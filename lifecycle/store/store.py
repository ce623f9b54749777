"""The store: reading, and writing one unit of work at a time.

Every write transaction takes the audit head first (BEGIN IMMEDIATE on SQLite, FOR UPDATE on
PostgreSQL, A3). So writes happen one at a time on both databases: what a use case reads inside its
transaction cannot change before it commits.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, text
from sqlalchemy.exc import OperationalError

from lifecycle.audit.chain import UNKNOWN_HEAD, Event, Head, chain, genesis
from lifecycle.audit.keys import SigningKey
from lifecycle.domain.people import Actor, system_actor
from lifecycle.errors import StoreError
from lifecycle.ports import Clock
from lifecycle.store.baseline import Before
from lifecycle.store.down import outages_of
from lifecycle.store.engine import BUSY_SECONDS, is_sqlite, open_engine
from lifecycle.store.kept import Kept
from lifecycle.store.schema import check_schema, describe, upgrade
from lifecycle.store.tables_people import AuditHeadRow, AuditRow
from lifecycle.store.tx import Tx, changing, table_of
from lifecycle.store.unit import Unit, View

_HEAD_COLUMNS = [column for column in table_of(AuditHeadRow).columns if column.name != "id"]
_HEAD = select(*_HEAD_COLUMNS).where(AuditHeadRow.id == 1).with_for_update()
_MOVE_HEAD = changing(AuditHeadRow, where=(AuditHeadRow.id == 1,), sets=[column.name for column in _HEAD_COLUMNS])
# SQLite fixes the picture with the first look, not with BEGIN.
_LOOK = "SELECT 1 FROM audit_head"
_ADD_ENTRIES = insert(table_of(AuditRow))


@contextmanager
def reading(engine: Engine, clock: Clock, kept: Kept | None = None) -> Generator[View]:
    """A consistent picture of a store of this schema, for who has no key to sign with.

    `kept` has what was found in this picture before, as long as nothing changes.
    """
    options = {} if is_sqlite(engine) else {"isolation_level": "REPEATABLE READ"}
    before = None if kept is None else kept.state()
    with engine.connect() as plain:
        connection = plain.execution_options(**options)
        with connection.begin():
            findings = kept and kept.picture(before, lambda: connection.exec_driver_sql(_LOOK).all())
            yield View(Tx(connection, clock.now(), writes=False, findings=findings))


class Store:
    """Use `open` or `create`; one Store per process, shared by its threads."""

    def __init__(self, engine: Engine, signing_key: SigningKey, clock: Clock) -> None:
        self.engine = engine
        self.kept = Kept(engine)
        self.signing_key = signing_key
        self._clock = clock
        self._own: Head | None = None
        # Threads line up here, so that only processes meet SQLite's polling for its lock.
        self._line = threading.Lock()

    @classmethod
    def open(cls, url: str, signing_key: SigningKey, clock: Clock) -> Store:
        """Opens a store of exactly this schema; StoreError says what to do otherwise."""
        store = cls(open_engine(url), signing_key, clock)
        store.check_schema()
        return store

    @classmethod
    def create(cls, url: str, signing_key: SigningKey, clock: Clock) -> Store:
        """Makes or migrates a store, then opens it. Safe to call by several processes at once."""
        store = cls(open_engine(url), signing_key, clock)
        upgrade(store.engine, store._vouching)
        with store._begin() as connection:
            store._lock_everything(connection)
            if store._head(connection) is None:
                store._write_first_head(connection)
        return store

    def check_schema(self) -> None:
        """Raises StoreError, which says what to do, unless the database has exactly this schema."""
        try:
            check_schema(self.engine)
        except OperationalError as error:
            raise StoreError(f"cannot open {describe(self.engine)}: {error.orig}") from None

    def close(self) -> None:
        """Gives every connection back."""
        self.kept.close()
        self.engine.dispose()

    @contextmanager
    def read(self) -> Generator[View]:
        """A consistent picture."""
        with outages_of(self.engine), reading(self.engine, self._clock, self.kept) as view:
            yield view

    @contextmanager
    def write(
        self, actor: Actor, verb: str, *, key: str | None = None, command: dict[str, Any] | None = None
    ) -> Generator[Unit]:
        """One unit of work of `actor`; commits when the block ends well, else leaves nothing.

        `key` with `command` makes a repetition answer the same (see Unit.earlier). What changes
        rows without telling the audit log does not commit.
        """
        with self._line, self._begin() as connection:
            head = self._head(connection)
            if head is None:
                raise StoreError(f"{describe(self.engine)} has no audit head; restore it from a backup")
            unit = Unit(Tx(connection, self._clock.now(), writes=True), actor, verb, key, command or {})
            yield unit
            if unit.changed and not unit.events:
                raise RuntimeError(f"{verb} changed rows without an audit event")
            if unit.events:
                self._append(connection, head, unit.now, unit.actor.audited, unit.told())

    @contextmanager
    def _begin(self) -> Generator[Connection]:
        with outages_of(self.engine), self.engine.connect() as plain:
            connection = plain.execution_options(drls_writes=True)
            with connection.begin():
                yield connection

    def _lock_everything(self, connection: Connection) -> None:
        if not is_sqlite(self.engine):
            connection.execute(text("LOCK TABLE audit_head IN EXCLUSIVE MODE"))

    def _head(self, connection: Connection) -> Head | None:
        if not is_sqlite(self.engine):
            connection.execute(text(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'"))
        row = connection.execute(_HEAD).mappings().first()
        return None if row is None else Head.model_validate(dict(row))

    def _write_first_head(self, connection: Connection) -> None:
        log = secrets.token_hex(16)
        head = self.signing_key.sign(genesis(log))
        connection.execute(insert(AuditHeadRow).values(id=1, **head.model_dump()))

    def _vouching(self, connection: Connection) -> Callable[[str], None]:
        """Around the upgrade of an older store: the log says what it did to the rows."""
        before = Before(connection)

        def say(revision: str) -> None:
            head = self._head(connection)
            if head is not None:
                events = list(before.events(connection, revision))
                self._append(connection, head, self._clock.now(), system_actor("upgrade").audited, events)

        return say

    def _append(
        self, connection: Connection, head: Head, now: datetime, actor: dict[str, Any], events: Sequence[Event]
    ) -> None:
        if head != self._own and not self.signing_key.signed(head):
            # Signed again silently, it would pass for ours from now on.
            by = system_actor("audit log").audited
            events = [Event(verb=UNKNOWN_HEAD, subject="audit:head", body={"head": dict(head)}, actor=by), *events]
        entries = chain(head, now, actor, events)
        connection.execute(_ADD_ENTRIES, [dict(entry) for entry in entries])
        last = entries[-1]
        moved = head.model_copy(update={"sequence": last.sequence, "hash": last.hash})
        # The next write finds this head again unless another process wrote: its signature need not be checked.
        self._own = self.signing_key.sign(moved)
        connection.execute(_MOVE_HEAD, {f"set_{name}": value for name, value in dict(self._own).items()})
