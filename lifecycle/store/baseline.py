"""What an upgrade does to rows, noted in the audit log, so that the log also vouches for the rows of an older store.

A migration may change any row. So before it the rows are compared with the log, and after it one entry (in a large
store several) names every row that became another. A row that was not as the log left it before stays a finding.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from lifecycle.audit.chain import Changes, Event
from lifecycle.store.governed import NOT_GOVERNED
from lifecycle.store.rows import Named, current_digests, differences

VERB = "store.upgraded"
_ROWS = 1_000


class Before:
    """What the log says of the rows of a store that is to be upgraded, and which of them are not so."""

    def __init__(self, connection: sa.Connection) -> None:
        self.revision = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        self.named = _named(connection)
        self.strange: frozenset[str] = frozenset()
        if self.named.newest:
            # As the database is, not as this DRLS will make it: a migration may rename a column or drop it.
            found = sa.MetaData()
            found.reflect(connection)
            tables = [
                table for table in found.sorted_tables if table.primary_key.columns and table.name not in _NO_ROWS
            ]
            self.strange = frozenset(
                name for _, name, _ in differences(self.named.newest, current_digests(connection, tables))
            )

    def events(self, connection: sa.Connection, revision: str) -> Iterator[Event]:
        """After the upgrade: what became of the rows."""
        current = dict(current_digests(connection))
        rows: Changes = {}
        for _, name, _ in differences(self.named.newest, current.items()):
            if name not in self.strange:
                rows[name] = (self.named.newest.get(name, (None, 0))[0], current.get(name))
        names = sorted(rows)
        for start in range(0, max(len(names), 1), _ROWS):
            part = {name: rows[name] for name in names[start : start + _ROWS]}
            body = {"from": self.revision, "to": revision, "rows": len(part), "unexplained": len(self.strange)}
            yield Event(verb=VERB, subject="store:lifecycle", body=body, rows=part)


_NO_ROWS = frozenset({*NOT_GOVERNED, "alembic_version"})


def _named(connection: sa.Connection) -> Named:
    named = Named()
    columns = {column["name"] for column in sa.inspect(connection).get_columns("audit")}
    if "rows" in columns:
        audit = sa.table("audit", sa.column("sequence", sa.BigInteger), sa.column("rows", sa.JSON))
        query = sa.select(audit.c.sequence, audit.c.rows).order_by(audit.c.sequence)
        for sequence, rows in connection.execute(query):
            named.note(sequence, rows or {})
    return named
