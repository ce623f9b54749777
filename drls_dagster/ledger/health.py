"""How tables were when somebody last looked, and how their scores changed. People read it; no rule does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from drls_dagster.ledger.database import Topic
from drls_dagster.ledger.tables import HEALTH, HEALTH_HISTORY

HOUR = 3600.0
MOST = 2_000  # looks of one table
_AT_ONCE = 200


class KeptLook(NamedTuple):
    """The last look at a table. `state` is its metadata file then, `rules` by what it was judged."""

    table: str
    state: str
    rules: str
    at: float
    report: Any


class NewLook(NamedTuple):
    """A look to keep, of the time `at`. `look` is what the history has of it; `mark` says whether a look is news."""

    table: str
    state: str
    rules: str
    at: float
    report: Any
    look: Any
    mark: str


class Health(Topic):
    def kept_looks(self, tables: Sequence[str] | None = None) -> Mapping[str, KeptLook]:
        """The last look at each table, or at these."""
        columns = (HEALTH.c.table_name, HEALTH.c.state, HEALTH.c.rules, HEALTH.c.at, HEALTH.c.report)
        query = sa.select(*columns)
        if tables is not None:
            query = query.where(HEALTH.c.table_name.in_(tables))
        with self._database.read() as connection:
            return {row.table_name: KeptLook(*row) for row in connection.execute(query)}

    def scores(self) -> list[int]:
        """The score of each table that somebody has looked at, as it was then."""
        query = sa.select(HEALTH.c.report["score"].as_integer())
        with self._database.read() as connection:
            return [score for score in connection.execute(query).scalars() if score is not None]

    def keep_looks(self, looks: Iterable[NewLook], days: float) -> None:
        """Keeps them; the history gets those that are news, and one an hour at most of those that are not.

        Looks older than `days` go, and those of tables that nobody has looked at since.
        """
        now = time.time()
        some = list(looks)
        for start in range(0, len(some), _AT_ONCE):
            with self._database.write() as connection:
                for one in some[start : start + _AT_ONCE]:
                    self._keep(connection, one)
                old = now - days * 86_400
                connection.execute(HEALTH_HISTORY.delete().where(HEALTH_HISTORY.c.at < old))
                connection.execute(HEALTH.delete().where(HEALTH.c.at < old))

    def health_history(self, table: str, before: float | None, limit: int) -> Sequence[tuple[float, Any]]:
        """When, and what was kept of the look; newest first."""
        query = sa.select(HEALTH_HISTORY.c.at, HEALTH_HISTORY.c.look).where(HEALTH_HISTORY.c.table_name == table)
        if before is not None:
            query = query.where(HEALTH_HISTORY.c.at < before)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(HEALTH_HISTORY.c.at.desc()).limit(limit))
            return [(row.at, row.look) for row in rows]

    def _keep(self, connection: sa.Connection, one: NewLook) -> None:
        now = one.at
        row = {"table_name": one.table, "state": one.state, "rules": one.rules, "at": now, "report": one.report}
        connection.execute(self._database.upsert(HEALTH, row))
        mine = HEALTH_HISTORY.c.table_name == one.table
        newest = sa.select(HEALTH_HISTORY.c.at, HEALTH_HISTORY.c.mark, HEALTH_HISTORY.c.look).where(mine)
        last = connection.execute(newest.order_by(HEALTH_HISTORY.c.at.desc()).limit(1)).first()
        if last is not None and (last.look == one.look or (last.mark == one.mark and now - last.at < HOUR)):
            return
        # To a microsecond, as times are written: a page of the history ends exactly at one.
        at = round(now if last is None else max(now, last.at + 0.001), 6)
        kept = {"table_name": one.table, "at": at, "mark": one.mark, "look": one.look}
        connection.execute(HEALTH_HISTORY.insert().values(kept))
        oldest = sa.select(HEALTH_HISTORY.c.at).where(mine).order_by(HEALTH_HISTORY.c.at.desc()).offset(MOST).limit(1)
        limit = connection.execute(oldest).scalar()
        if limit is not None:
            connection.execute(HEALTH_HISTORY.delete().where(mine, HEALTH_HISTORY.c.at <= limit))
