"""How open requests compare with the present, for pages: computed in the background, shared by concurrent viewers.

Asking the catalog may take longer than a page may: so a page waits a moment, and its live part asks again.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass

from lifecycle.domain.promotion import Promotion
from lifecycle.outages import is_outage, told
from lifecycle.usecases.compare_plan import Comparison, compare_plan
from lifecycle.usecases.context import Context

_LOG = logging.getLogger(__name__)
FRESH_SECONDS = 1.5
_MOST_KNOWN = 500


@dataclass(frozen=True, slots=True)
class Present:
    """What was found; `comparison` is None while it is computed, and when (`error`) it could not be."""

    comparison: Comparison | None = None
    error: str = ""

    @property
    def is_stale(self) -> bool:
        return self.comparison is not None and bool(self.comparison.outcome)


@dataclass(slots=True)
class _Known:
    future: Future[Present]
    begun: float


class Comparisons:
    """One comparison at a time per request and state of the store, kept for FRESH_SECONDS.

    It is for people to read: execution compares again, under its lock.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="compare")
        self._line = threading.Lock()
        self._known: dict[tuple[int, int, int], _Known] = {}

    def look(self, ctx: Context, promotion: Promotion, head: int, *, wait: float) -> Present:
        """The comparison as of at most FRESH_SECONDS ago; waits `wait` seconds for it."""
        key = (promotion.id, promotion.revision, head)
        now = time.monotonic()
        with self._line:
            known = self._known.get(key)
            if known is None or (known.future.done() and now - known.begun > FRESH_SECONDS):
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                known = self._known[key] = _Known(self._pool.submit(_compare, ctx, promotion), now)
        try:
            return known.future.result(wait)
        except NotYet:
            return Present()


def _compare(ctx: Context, promotion: Promotion) -> Present:
    try:
        return Present(compare_plan(ctx, promotion))
    except Exception as error:  # noqa: BLE001 (whatever a catalog raises, the page shows what the store knows)
        log = _LOG.warning if is_outage(error) else _LOG.error
        log("comparing request %s with the current state failed", promotion.id, exc_info=error)
        return Present(error=told(error)[:300])
