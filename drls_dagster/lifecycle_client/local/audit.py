"""The audit log of a store of one's own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from drls_dagster.lifecycle_client.interface import Audit, Log
from drls_dagster.lifecycle_client.local.session import Session
from lifecycle.audit import Entry
from lifecycle.domain.environment import Role
from lifecycle.store.rows import RowCheck


class LocalAudit(Audit):
    """Reads the store; an Admin may."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._store = session.ctx.store

    def search(
        self, *, subject: str | None = None, verb: str | None = None, before: int | None = None, limit: int = 100
    ) -> tuple[Entry, ...]:
        with self._store.read() as view:
            self._session.require(view, Role.ADMIN, "reading the audit log")
            return view.log.search(subject=subject, verb=verb, before=before, limit=limit)

    @contextmanager
    def whole(self) -> Generator[Log]:
        with self._store.read() as view:
            self._session.require(view, Role.ADMIN, "reading the audit log")
            yield Log(view.log.head(), view.log.entries())

    def rows(self) -> RowCheck:
        with self._store.read() as view:
            self._session.require(view, Role.ADMIN, "reading the audit log")
            return view.log.check_rows()

    def public_key(self) -> str:
        self._session.identity()
        return self._store.signing_key.public
