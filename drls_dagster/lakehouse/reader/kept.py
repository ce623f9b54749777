"""Rows that were read of pinned snapshots, kept for who asks the same of the same: neither a snapshot nor a metadata
file ever changes.

Who may see a table, and at which snapshot it is, is asked before, each time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar, cast

from drls_dagster.lakehouse.reader.finding import Pinned
from lifecycle.domain.model import Frozen

Rows = TypeVar("Rows", bound=Frozen)
MOST = 16_000_000  # letters, of what was asked and answered
MOST_OF_ONE = 250_000


class KeptRows:
    """Answers by all that they depend on, as many as fit: what nobody asked for longest goes first. Safe for threads.

    Whoever gets one changes nothing in it.
    """

    def __init__(self, most: int = MOST, most_of_one: int = MOST_OF_ONE) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._found: OrderedDict[Hashable, tuple[Frozen, int]] = OrderedDict()
        self._size = 0
        self._line = threading.Lock()

    def get(self, key: Hashable, read: Callable[[], Rows]) -> Rows:
        """What `read` answered for this key before, or answers now. What it raises is not kept."""
        known = self.find(key)
        return self.keep(key, read()) if known is None else cast("Rows", known)

    def find(self, key: Hashable) -> Frozen | None:
        """What was kept for this key."""
        with self._line:
            if key not in self._found:
                return None
            self._found.move_to_end(key)
            return self._found[key][0]

    def keep(self, key: Hashable, found: Rows) -> Rows:
        """The same, kept from now on unless it is too long."""
        size = len(repr(key)) + len(repr(found))
        if size <= self._most_of_one:
            with self._line:
                self._size += size - self._found.pop(key, (found, 0))[1]
                self._found[key] = found, size
                while self._size > self._most:
                    self._size -= self._found.popitem(last=False)[1][1]
        return found


def states_of(pins: Iterable[Pinned]) -> tuple[Hashable, ...]:
    """Which tables, in which state: a metadata file says where the rows of its snapshots are and what columns mean."""
    return tuple((one.name, one.table.metadata_location, one.snapshot) for one in pins)


ROWS = KeptRows()
