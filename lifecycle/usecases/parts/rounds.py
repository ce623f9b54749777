"""Rounds over many items, such as every open request: each item is handled on its own.

What fails for one item is kept and shown for that item, until a later round handles it well; the others go ahead.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.errors import StoreError
from lifecycle.outages import is_outage, kind_of, told
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context

_LOG = logging.getLogger(__name__)
_SETTING = "troubles:"
# Every kind of round; each keeps its own troubles.
ROUNDS = (
    "requests",
    "reminders",
    "receivers",
    "messages",
    "first runs",
    "runs",
    "drift",
    "debris",
    *(f"new data in {environment.value}" for environment in Environment),
)


class Trouble(Frozen):
    """An item that could not be handled: what was being done, and why it failed.

    `kind` is outage, refusal or failure; `pipeline` whose item it is, where that is known.
    """

    item: str
    doing: str
    error: str
    kind: str
    pipeline: str | None = None
    since: datetime | None = None

    def __str__(self) -> str:
        return f"{self.item.replace(':', ' ', 1)}: {self.doing} failed: {self.error}"


class Round:
    """One round. `troubles` is what failed in it so far.

    A store that is down ends the round: nothing can be done, and nothing can be noted.
    """

    def __init__(self, ctx: Context, actor: Actor, name: str) -> None:
        self._ctx = ctx
        self._actor = actor
        self._name = name
        self.troubles: list[Trouble] = []

    @contextmanager
    def item(self, item: str, doing: str, pipeline: str | None = None) -> Generator[None]:
        """Handles one item: what it raises is kept for this item, and the round continues."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, the other items are not to suffer from it)
            self.failed(item, doing, told(error), kind_of(error), pipeline)
            log = _LOG.warning if is_outage(error) else _LOG.error
            log("%s: %s failed: %s", item, doing, told(error), exc_info=error)

    def failed(self, item: str, doing: str, error: str, kind: str = "failure", pipeline: str | None = None) -> None:
        """Keeps what failed for an item."""
        self.troubles.append(Trouble(item=item, doing=doing, error=error, kind=kind, pipeline=pipeline))

    def close(self) -> tuple[Trouble, ...]:
        """Notes what failed, and of items that failed before and did not now, that this is over."""
        name = f"{_SETTING}{self._name}"
        with self._ctx.store.read() as view:
            known = _known(view, name)
        if _marks(known) == _marks(self.troubles):
            return tuple(self.troubles)
        with self._ctx.store.write(self._actor, "note_troubles") as unit:
            before = {(one.item, one.doing): one for one in _known(unit, name)}
            now: dict[tuple[str, str], Trouble] = {}
            for one in self.troubles:
                earlier = before.get((one.item, one.doing))
                since = unit.now if earlier is None else earlier.since
                now[one.item, one.doing] = one.model_copy(update={"since": since})
                if earlier is None:
                    unit.audit("trouble.found", one.item, doing=one.doing, reason=one.error, kind=one.kind)
            for one in (before[key] for key in before.keys() - now.keys()):
                unit.audit("trouble.over", one.item, doing=one.doing)
            if not unit.events:
                unit.audit("trouble.changed", f"round:{self._name}")
            unit.settings.put(name, {"items": [one.model_dump(mode="json") for one in now.values()]})
        return tuple(self.troubles)


def troubles(view: View, *rounds: str) -> tuple[Trouble, ...]:
    """Every item that could not be handled when it was tried last; of these rounds, or of all."""
    return tuple(one for name in rounds or ROUNDS for one in _known(view, f"{_SETTING}{name}"))


def shown(found: Iterable[Trouble], most: int = 5) -> list[str]:
    """The first of them, a line each, and how many more there are."""
    lines = [str(one) for one in found]
    return [*lines[:most], *([f"{len(lines) - most} more failed"] if len(lines) > most else [])]


def _known(view: View, name: str) -> tuple[Trouble, ...]:
    found = view.settings.find(name)
    items: list[dict[str, Any]] = [] if found is None else found.value["items"]
    return tuple(Trouble.model_validate(one) for one in items)


def _marks(found: Iterable[Trouble]) -> set[tuple[str, str, str]]:
    """What makes two troubles the same; numbers in a text, such as a port, do not count."""
    return {(one.item, one.doing, re.sub(r"\d+", "#", one.error)) for one in found}
