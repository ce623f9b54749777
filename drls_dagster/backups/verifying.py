"""Whether a store is whole: its audit log, and its rows as the log left them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Engine

from lifecycle.audit import Verdict, verify
from lifecycle.audit.chain import Head
from lifecycle.audit.keys import public_key
from lifecycle.errors import StoreError
from lifecycle.ports import SystemClock
from lifecycle.store.rows import with_rows
from lifecycle.store.store import reading


def verified(engine: Engine, keys: Iterable[str]) -> Verdict:
    """Raises StoreError naming every entry and row that is not as it was written."""
    trusted = {public_key(key).keyid: key for key in keys}
    with reading(engine, SystemClock()) as view:
        verdict = with_rows(verify(view.log.entries(), view.log.head(), trusted), view.log.check_rows())
    if not verdict.whole:
        raise StoreError("\n".join(finding.message for finding in verdict.findings))
    return verdict


def head_of(engine: Engine) -> Head:
    """The newest entry of the audit log."""
    with reading(engine, SystemClock()) as view:
        return view.log.head()


def has_entry(engine: Engine, sequence: int, digest: str) -> bool:
    """Whether the log has this entry, with this hash."""
    if sequence == 0:
        return True
    with reading(engine, SystemClock()) as view:
        found = list(view.log.entries(sequence - 1, limit=1))
    return bool(found) and (found[0].sequence, found[0].hash) == (sequence, digest)
