"""Whether the audit log is whole: a short log is read at each look; of a long one what is new, now and then all."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifecycle.audit.verify import Check, Finding
from lifecycle.store.store import Store
from lifecycle.store.unit import View

_LOG = logging.getLogger(__name__)
AT_ONCE = 500  # entries that a page reads itself: about 40 ms
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

    @property
    def whole(self) -> bool:
        return not self.running and not self.found and not self.failed


class ChainWatch:
    """One for each process. A long log is read beside the pages, who ask meanwhile see how far it is."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys = {store.signing_key.key_id: store.signing_key.public}
        self._line = threading.Lock()
        self._check: Check | None = None
        self._read_at: datetime | None = None
        self._worker: threading.Thread | None = None
        self._progress = (0, 0)
        self._failed = False

    def state(self) -> ChainState:
        """The state now; starts reading when there is much to read."""
        with self._line:
            if self._reads and self._check is None:
                return self._running()
            if self._failed:
                return ChainState(False, *self._progress, (), 0, self._read_at, failed=True)
            with self._store.read() as view:
                head, check = view.log.head(), self._check
                if check is None or head.sequence <= AT_ONCE or not _goes_on(view, check):
                    self._check, check, self._read_at = None, Check(head.log), view.now
                elif self._read_at is None or view.now - self._read_at > AGAIN:
                    # What is known stays shown until all was read.
                    self._start(Check(head.log), head.sequence, view.now)
                if head.sequence - check.last > AT_ONCE:
                    self._start(check, head.sequence, self._read_at)
                    return self._running()
                for entry in view.log.entries(check.last):
                    check.take(entry)
            self._check = check
            findings = check.verdict(head, self._keys).findings
            return ChainState(False, check.last, head.sequence, findings[:_SHOWN], len(findings), self._read_at)

    def rescan(self) -> None:
        """Reads the log again from its first entry on: only that finds what was changed since it was read."""
        with self._line:
            self._check, self._failed = None, False

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

    def _start(self, check: Check, total: int, begun: datetime | None) -> None:
        """One reader at a time: who comes second waits for the first."""
        if self._reads:
            return
        self._progress = (check.last, total)
        self._worker = threading.Thread(target=self._read, args=(check, begun), name="audit chain", daemon=True)
        self._worker.start()

    def _read(self, check: Check, begun: datetime | None) -> None:
        try:
            while True:
                # Many short transactions: a long one would keep SQLite's log of changes from being shortened.
                with self._store.read() as view:
                    total, before = view.log.head().sequence, check.last
                    for entry in view.log.entries(check.last, limit=_BATCH):
                        check.take(entry)
                self._progress = (check.last, total)
                if check.last == before or check.last >= total:
                    break
            with self._line:
                self._check, self._read_at = check, begun
        except Exception:  # noqa: BLE001 (whatever it was: the page says that reading stopped, the log why)
            self._failed = True
            _LOG.exception("reading the audit log stopped at entry %s", check.last)


def _goes_on(view: View, check: Check) -> bool:
    """Whether the log is still the one that was read up to `check.last`, which nobody cut off or replaced."""
    head = view.log.head()
    last = next(view.log.entries(check.last - 1, limit=1), None)
    return check.log == head.log and check.last <= head.sequence and last is not None and last.hash == check.last_hash
