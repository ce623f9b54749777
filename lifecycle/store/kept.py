"""What was found in the store, kept by this process for as long as nobody changes the store.

SQLite counts for each connection the commits of all others (`PRAGMA data_version`), so one connection that never
writes hears of every change, by whichever process, for the price of looking into shared memory. PostgreSQL has no
such counter that also sees changes made without DRLS; there nothing is kept, and everything is looked up each time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from lifecycle.store.engine import is_sqlite
from lifecycle.store.tx import Findings

T = TypeVar("T")
_MOST = 1_000
_MOST_ROWS = 20_000  # short ones, of one picture; then it is begun anew: some tens of megabytes


class State(NamedTuple):
    """Equal as long as nothing was committed. A counter begins anew with its connection, which has a number."""

    connection: int
    commits: int


class _Found(NamedTuple):
    state: State
    until: datetime
    value: Any


class Kept:
    """Findings by key, each good for one state of the store and until its own end. Safe for threads."""

    def __init__(self, engine: Engine, most: int = _MOST) -> None:
        self._counter = _Counter(engine) if is_sqlite(engine) else None
        self._most = most
        self._found: OrderedDict[Hashable, _Found] = OrderedDict()
        self._picture: tuple[State, Findings] | None = None
        self._line = threading.Lock()

    def get(self, key: Hashable, now: datetime, find: Callable[[], tuple[T, datetime]]) -> T:
        """What `find` says, and until when at most; it is asked where the store changed since, or that time is over.

        What `find` raises is not kept.
        """
        # Before `find` looks: what changes while it does belongs to the next state.
        state = self.state()
        if state is None:
            return find()[0]
        with self._line:
            known = self._found.get(key)
        if known is not None and known.state == state and now < known.until:
            return known.value
        value, until = find()
        with self._line:
            self._found[key] = _Found(state, until, value)
            self._found.move_to_end(key)
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return value

    def state(self) -> State | None:
        """Of the store now. Ask before you take a connection: this may need one."""
        return None if self._counter is None else self._counter.state()

    def picture(self, before: State | None, look: Callable[[], object]) -> Findings | None:
        """What was found before in the picture that `look` fixes for the caller; None where that is not known.

        `before` was the state of the store before that.
        """
        if before is None or self._counter is None:
            return None
        look()
        if self._counter.state(opens=False) != before:
            # Somebody wrote just now: before or after the look, nobody can say.
            return None
        with self._line:
            if self._picture is None or self._picture[0] != before or self._picture[1].weight > _MOST_ROWS:
                self._picture = before, Findings()
            return self._picture[1]

    def close(self) -> None:
        """Forgets everything."""
        with self._line:
            self._found.clear()
            self._picture = None
        if self._counter is not None:
            self._counter.close()


class _Counter:
    """The commits of everybody else, as a connection that never commits sees them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Any = None
        self._number = 0
        self._line = threading.Lock()

    def state(self, *, opens: bool = True) -> State | None:
        """None where the database does not say: whoever looks there next hears why."""
        with self._line:
            if self._connection is None and not opens:
                return None
            try:
                if self._connection is None:
                    self._connection = self._open()
                    self._number += 1
                (commits,) = self._connection.dbapi_connection.execute("PRAGMA data_version").fetchone()
            except (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error):
                self._close()
                return None
            return State(self._number, commits)

    def close(self) -> None:
        with self._line:
            self._close()

    def _open(self) -> Any:
        one: Any = self._engine.raw_connection()
        # The pool opens another one in its place; nobody ever writes through this one.
        one.detach()
        # Nobody waits for it either: without an answer the store itself is asked.
        one.dbapi_connection.execute("PRAGMA busy_timeout = 0")
        return one

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
