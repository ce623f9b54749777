"""Launching once: a launch with an Idempotency-Key whose answer was lost can be sent again and starts nothing new.

The run (or backfill) that the first one made carries the key, hidden and under its launcher's signature. One process
serves the door, so a lock for each key is enough.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from drls_dagster.dagster_private.tags import HIDDEN_TAG_PREFIX
from drls_dagster.up.web.operations import Operation, Sent, Unreadable

HEADER = "idempotency-key"
CLAIM_TAG = f"{HIDDEN_TAG_PREFIX}drls_launch_key"
SENT_TAG = f"{HIDDEN_TAG_PREFIX}drls_launch_sent"
_RUNS = frozenset({"launchRun", "launchPipelineExecution"})
_BACKFILLS = frozenset({"launchPartitionBackfill"})
_KEY = re.compile(r"[!-~]{8,200}")


@dataclass(frozen=True)
class Claim:
    """One launch under a key of one person; `sent` tells another launch under the same key from a repetition."""

    person: int
    name: str
    sent: str
    field: str  # the mutation, and the name that its answer has
    answer: str

    @property
    def tags(self) -> dict[str, str]:
        return {CLAIM_TAG: self.name, SENT_TAG: self.sent}

    @property
    def is_backfill(self) -> bool:
        return self.field in _BACKFILLS

    def answered(self, found: str) -> dict[str, Any]:
        """What is answered to a repetition: the id of what the first one launched."""
        if self.is_backfill:
            told: dict[str, Any] = {"__typename": "LaunchBackfillSuccess", "backfillId": found, "launchedRunIds": []}
        else:
            told = {"__typename": "LaunchRunSuccess", "run": {"__typename": "Run", "id": found, "runId": found}}
        return {"data": {self.answer: told}}


def claim_of(person: int, key: str, operation: Operation, sent: Sent) -> Claim:
    """Raises Unreadable for a malformed key, and for anything but one launch."""
    names = [field.name for field in operation.fields]
    if len(names) != 1 or names[0] not in _RUNS | _BACKFILLS:
        raise Unreadable("an Idempotency-Key belongs to one launch: launchRun or launchPartitionBackfill")
    if not _KEY.fullmatch(key):
        raise Unreadable("an Idempotency-Key has 8 to 200 visible ASCII characters")
    first = operation.node.selection_set.selections[0]
    alias = getattr(first, "alias", None)
    return Claim(
        person=person,
        name=hashlib.sha256(f"{person}:{key}".encode()).hexdigest(),
        sent=hashlib.sha256(sent.body).hexdigest(),
        field=names[0],
        answer=alias.value if alias is not None else names[0],
    )


def same_launch(claim: Claim, tags: Mapping[str, str]) -> bool:
    """Whether what carries these tags was launched by the same request."""
    return tags.get(SENT_TAG) == claim.sent


class Keys:
    """One launch at a time for each key."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        lock, waiting = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._locks[name]
            if waiting == 1:
                del self._locks[name]
            else:
                self._locks[name] = (lock, waiting - 1)
