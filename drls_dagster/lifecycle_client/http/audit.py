"""The audit log of a server."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from drls_dagster.lifecycle_client.http.session import HttpSession
from drls_dagster.lifecycle_client.interface import Audit, Log
from lifecycle.audit import Entry, Head
from lifecycle.store.rows import RowCheck

_PAGE = 500


class HttpAudit(Audit):
    """Asks the server. The whole log is held in memory while it is looked at: it comes newest first."""

    def __init__(self, session: HttpSession) -> None:
        self._session = session

    def search(
        self, *, subject: str | None = None, verb: str | None = None, before: int | None = None, limit: int = 100
    ) -> tuple[Entry, ...]:
        found: list[Entry] = []
        while len(found) < limit:
            size = min(_PAGE, limit - len(found))
            page = self._session.get("/api/audit", subject=subject, verb=verb, before=before, limit=size)["items"]
            found += [Entry.model_validate(one) for one in page]
            if len(page) < size:
                break
            before = found[-1].sequence
        return tuple(found)

    @contextmanager
    def whole(self) -> Generator[Log]:
        head = Head.model_validate(self._session.get("/api/audit/head"))
        newest_first = list(self._up_to(head.sequence))
        yield Log(head, reversed(newest_first))

    def rows(self) -> RowCheck:
        return RowCheck.model_validate(self._session.get("/api/audit/rows"))

    def public_key(self) -> str:
        return self._session.get("/api/audit/key")["key"]

    def _up_to(self, sequence: int) -> Iterator[Entry]:
        # What was appended since the head was read does not belong to it.
        for one in self._session.pages("/api/audit", "before"):
            entry = Entry.model_validate(one)
            if entry.sequence <= sequence:
                yield entry
