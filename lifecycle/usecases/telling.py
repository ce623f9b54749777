"""Writing notifications with the change that they tell about (outbox)."""

from __future__ import annotations

from typing import Any

from lifecycle.store.unit import Unit

RECEIVERS = "notifications"


def tell(unit: Unit, event: str, pipeline: str, **body: Any) -> None:
    """One message for each receiver that wants `event`; without receivers, none."""
    setting = unit.settings.find(RECEIVERS)
    for receiver in setting.value["receivers"] if setting else ():
        wanted = receiver.get("events") or [event]
        if event in wanted:
            unit.outbox.add(event, receiver["address"], {"event": event, "pipeline": pipeline, **body})
