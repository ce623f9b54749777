"""Writing notifications with the change that they tell about (outbox)."""

from __future__ import annotations

from typing import Any

from lifecycle.store.unit import Unit

RECEIVERS = "notifications"
# What is told, with what it means to who is told.
EVENTS = {
    "promotion.requested": "somebody asks, and who may approve is wanted",
    "promotion.approved": "a request has its approvals",
    "promotion.lapsed": "an approval no longer counts, so a request needs another one",
    "promotion.rejected": "somebody said no, with the reason",
    "promotion.reminder": "a request still waits for somebody",
    "promotion.expired": "a request got too old",
    "promotion.stale": "something moved since a request was made",
    "promotion.done": "a version went where it was asked for",
    "promotion.failed": "an execution stopped and can be resumed",
    "deployment.started": "another version is active",
    "glass.broken": "somebody deployed without approval",
    "drift.found": "a table was written past DRLS",
    "drift.loaded": "a code location runs another version than the one deployed, and reloading does not help",
}


def tell(unit: Unit, event: str, pipeline: str, **body: Any) -> None:
    """One message for each receiver that wants `event`; without receivers, none.

    Raises ValueError for an event that is not in EVENTS: no receiver could choose it.
    """
    if event not in EVENTS:
        raise ValueError(f"{event!r} is not in EVENTS; add it there, so that receivers can choose it")
    setting = unit.settings.find(RECEIVERS)
    for receiver in setting.value["receivers"] if setting else ():
        wanted = receiver.get("events") or [event]
        if event in wanted:
            unit.outbox.add(event, receiver["address"], {"event": event, "pipeline": pipeline, **body})
