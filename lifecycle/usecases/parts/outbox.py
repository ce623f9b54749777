"""Writing notifications with the change that they tell about (outbox)."""

from __future__ import annotations

from typing import Any

from lifecycle.store.unit import Unit

RECEIVERS = "notifications"
# The events of notifications, with what they mean to the receiver.
EVENTS = {
    "promotion.requested": "a request needs approval",
    "promotion.approved": "a request has all its approvals",
    "promotion.lapsed": "an approval no longer counts, so a request needs another one",
    "promotion.rejected": "a request was rejected, with the reason",
    "promotion.reminder": "a request is still waiting for approval",
    "promotion.expired": "a request expired",
    "promotion.stale": "a request is stale: something changed since it was made",
    "promotion.done": "a promotion is done",
    "promotion.failed": "a promotion failed and can be resumed",
    "deployment.started": "a different version became active",
    "glass.broken": "someone deployed without approval",
    "drift.found": "a table was written outside DRLS",
    "drift.loaded": ("a code location runs a different version than the deployed one, and reloading does not help"),
}


def tell(unit: Unit, event: str, pipeline: str, **body: Any) -> None:
    """One message for each receiver that wants `event`; without receivers, none.

    Raises ValueError for an event that is not in EVENTS: no receiver could choose it.
    """
    if event not in EVENTS:
        raise ValueError(f"{event!r} is not in EVENTS; add it there so that receivers can choose it")
    setting = unit.settings.find(RECEIVERS)
    for receiver in setting.value["receivers"] if setting else ():
        wanted = receiver.get("events") or [event]
        if event in wanted:
            unit.outbox.add(event, receiver["address"], {"event": event, "pipeline": pipeline, **body})
