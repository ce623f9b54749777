"""The audit log: what can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

from lifecycle.audit import Entry, Head
from lifecycle.store.rows import RowCheck


class Log(NamedTuple):
    """The signed head and, from the first on, the entries that belong to it."""

    head: Head
    entries: Iterator[Entry]


class Audit(ABC):
    """The audit log."""

    @abstractmethod
    def search(
        self, *, subject: str | None = None, verb: str | None = None, before: int | None = None, limit: int = 100
    ) -> tuple[Entry, ...]:
        """Entries, newest first; `before` (a sequence) pages on."""

    @abstractmethod
    def whole(self) -> AbstractContextManager[Log]:
        """One consistent picture of the whole log, for as long as the context lasts."""

    @abstractmethod
    def rows(self) -> RowCheck:
        """Whether every row of the store is as the log left it."""

    @abstractmethod
    def public_key(self) -> str:
        """The key that signs the head and the bundles, in hexadecimal."""
