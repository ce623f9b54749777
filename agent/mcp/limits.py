"""How often one token may ask: a bucket for each, which fills again evenly."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class RateLimit:
    """`per_minute` requests in the long run, and at most `burst` at once. Safe for threads."""

    def __init__(
        self, per_minute: int, burst: int, clock: Callable[[], float] = time.monotonic, most: int = 10_000
    ) -> None:
        self._per_second = per_minute / 60
        self._burst = float(burst)
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._line = threading.Lock()

    def take(self, key: str) -> int:
        """0 when this request is allowed, else after how many whole seconds the next one is."""
        with self._line:
            now = self._clock()
            left, since = self._buckets.pop(key, (self._burst, now))
            left = min(self._burst, left + (now - since) * self._per_second)
            allowed = left >= 1
            self._buckets[key] = (left - 1 if allowed else left, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1 - left) / self._per_second))
