"""Which rows the audit log vouches for, and the digest that stands for a row.

Every row that a transaction changed is named in its audit entries with the digests of what it was and what it became
(None: it was not there). So the newest entry that names a row says how the row must look now, and each entry that it
was then as the entry before had left it: a later write does not cover up an edit. See `rows`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from lifecycle.store import tables_people
from lifecycle.store.tables import Base

# What the log does not vouch for, with the reason: a whole table, or `table.column`. Everything else is governed.
NOT_GOVERNED: Mapping[str, str] = {
    "audit": "it is the chain",
    "audit_head": "it is signed",
    "sign_in_attempt": "it only counts attempts, to slow down guessing",
    "outbox.state": "delivery counts its tries here; what is sent, and to whom, is governed",
    "outbox.attempts": "delivery",
    "outbox.next_at": "delivery",
    "outbox.last_error": "delivery",
}


def governed_tables() -> tuple[sa.Table[Any], ...]:
    """The tables whose rows the log vouches for."""
    assert tables_people.PersonRow.metadata is Base.metadata  # noqa: S101 (both modules are loaded)
    return tuple(table for table in Base.metadata.sorted_tables if table.name not in NOT_GOVERNED)


def governed_columns(table: sa.Table[Any]) -> tuple[sa.Column[Any], ...]:
    """The columns of a table that count."""
    return tuple(column for column in table.columns if f"{table.name}.{column.name}" not in NOT_GOVERNED)


def name_of(table: str, keys: Iterable[Any]) -> str:
    """What entries call a row: the table and its primary key."""
    return f"{table}:{','.join(str(key) for key in keys)}"


def digest_of(table: str, values: Mapping[str, Any]) -> str:
    """SHA-256 of a row as canonical JSON.

    A column without a value does not count: a column that a later DRLS adds changes no digest until it is used.
    """
    row = {name: value for name, value in values.items() if value is not None and f"{table}.{name}" not in NOT_GOVERNED}
    canonical = json.dumps([table, row], sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        at = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return at.isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    # Also a value of a type that no column holds gets a digest, which no entry has.
    return repr(value)
