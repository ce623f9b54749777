"""Whether the audit log is whole, and the rows are as it left them.

A short log is read at each look; of a long one what is new, now and then all.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifecycle.audit.chain import Entry
from lifecycle.audit.verify import Check, Finding
from lifecycle.store.rows import Named, RowCheck
from lifecycle.store.store import Store
from lifecycle.store.unit import View

_LOG = logging.getLogger(__name__)
AT_ONCE = 500  # entries that a page reads itself: about 40 ms
ROWS_AT_ONCE = 2_000  # rows that a page compares itself
AGAIN = timedelta(minutes=10)  # after that somebody who looks has all of it read again
_BATCH = 1_000
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ChainState:
    """What is known of the chain. `read_at`: when its first entry was read last; None until all were read once."""

    running: bool
    upto: int
    total: int
    findings: tuple[Finding, ...]
    found: int
    read_at: datetime | None
    failed: bool = False
    rows: int = 0

    @property
    def whole(self) -> bool:
        return not self.running and not self.found and not self.failed


class _Reading:
    """The entries that were read, and what they say of the rows; `rows` is None until these were compared once."""

    def __init__(self, log: str) -> None:
        self.check = Check(log)
        self.named = Named()
        self.rows: RowCheck | None = None

    def take(self, entry: Entry) -> None:
        self.check.take(entry)
        self.named.take(entry)

    @property
    def is_small(self) -> bool:
        return len(self.named.newest) <= ROWS_AT_ONCE


class ChainWatch:
    """One for each process. A long log is read in the background; pages show how far it is."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys = {store.signing_key.key_id: store.signing_key.public}
        self._line = threading.Lock()
        self._reading: _Reading | None = None
        self._read_at: datetime | None = None
        self._worker: threading.Thread | None = None
        self._progress = (0, 0)
        self._failed = False

    def state(self) -> ChainState:
        """The state now; starts reading when there is much to read."""
        with self._line:
            if self._reads and self._reading is None:
                return self._running()
            if self._failed:
                return ChainState(False, *self._progress, (), 0, self._read_at, failed=True)
            with self._store.read() as view:
                head, reading = view.log.head(), self._reading
                short = head.sequence <= AT_ONCE and (reading is None or reading.is_small)
                if reading is None or short or not _goes_on(view, reading.check):
                    self._reading, reading, self._read_at = None, _Reading(head.log), view.now
                elif self._read_at is None or view.now - self._read_at > AGAIN:
                    # What is known stays shown until all was read.
                    self._start(_Reading(head.log), head.sequence, view.now)
                if head.sequence - reading.check.last > AT_ONCE:
                    self._start(reading, head.sequence, self._read_at)
                    return self._running()
                for entry in view.log.entries(reading.check.last):
                    reading.take(entry)
                if short and reading.is_small:
                    reading.rows = view.log.check_rows(reading.named)
            if reading.rows is None:
                self._start(reading, head.sequence, self._read_at)
                return self._running()
            self._reading = reading
            findings = (*reading.check.verdict(head, self._keys).findings, *reading.rows.findings)
            return ChainState(
                running=False,
                upto=reading.check.last,
                total=head.sequence,
                findings=findings[:_SHOWN],
                found=len(findings),
                read_at=self._read_at,
                rows=reading.rows.rows,
            )

    def rescan(self) -> None:
        """Reads the log again from its first entry on: only that finds what was changed since it was read."""
        with self._line:
            self._reading, self._failed = None, False

    def wait(self, seconds: float) -> bool:
        """Waits until nothing is being read; False when that took longer."""
        worker = self._worker
        if worker is not None:
            worker.join(seconds)
        return worker is None or not worker.is_alive()

    @property
    def _reads(self) -> bool:
        return self._worker is not None and self._worker.is_alive()

    def _running(self) -> ChainState:
        return ChainState(True, *self._progress, (), 0, self._read_at)

    def _start(self, reading: _Reading, total: int, begun: datetime | None) -> None:
        """One reader at a time: who comes second waits for the first."""
        if self._reads:
            return
        self._progress = (reading.check.last, total)
        self._worker = threading.Thread(target=self._read, args=(reading, begun), name="audit chain", daemon=True)
        self._worker.start()

    def _read(self, reading: _Reading, begun: datetime | None) -> None:
        check = reading.check
        try:
            while True:
                # Many short transactions: a long one would keep SQLite's log of changes from being shortened.
                with self._store.read() as view:
                    total, before = view.log.head().sequence, check.last
                    for entry in view.log.entries(check.last, limit=_BATCH):
                        reading.take(entry)
                    self._progress = (check.last, total)
                    if check.last == before or check.last >= total:
                        # Rows and entries of one picture.
                        reading.rows = view.log.check_rows(reading.named)
                        break
            with self._line:
                self._reading, self._read_at = reading, begun
        except Exception:  # noqa: BLE001 (whatever it was: the page says that reading stopped, the log why)
            self._failed = True
            _LOG.exception("reading the audit log stopped at entry %s", check.last)


def _goes_on(view: View, check: Check) -> bool:
    """Whether the log is still the one that was read up to `check.last`, which nobody cut off or replaced."""
    head = view.log.head()
    last = next(view.log.entries(check.last - 1, limit=1), None)
    return check.log == head.log and check.last <= head.sequence and last is not None and last.hash == check.last_hash
