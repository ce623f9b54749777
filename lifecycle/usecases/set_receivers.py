"""Where notifications go: an Admin's setting, and a message to try it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from lifecycle.addresses import refuse_webhook
from lifecycle.domain.people import Actor, Target
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, Invalid
from lifecycle.store.repositories.settings import Setting
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require
from lifecycle.usecases.parts.outbox import EVENTS, RECEIVERS

MOST = 50


class Receiver(BaseModel):
    """Where notifications go: https://… (http://… to this machine only), or mailto:…; `events` empty means all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Annotated[str, Field(max_length=500, pattern=r"^(https?://|mailto:)[^\s\x00]+$")]
    events: tuple[Annotated[str, Field(max_length=50, pattern=r"^[^\x00]*$")], ...] = ()


def receivers_of(view: View) -> tuple[tuple[Receiver, ...], int]:
    """The receivers, and the revision of the setting (0: never set)."""
    setting = view.settings.find(RECEIVERS)
    if setting is None:
        return (), 0
    return tuple(Receiver.model_validate(one) for one in setting.value["receivers"]), setting.revision


def set_receivers(ctx: Context, actor: Actor, receivers: Sequence[Receiver], *, expected: int) -> Setting:
    """Replaces the receivers.

    Raises Conflict when the setting's revision is no longer `expected`, Invalid for an event that is never sent
    and for a webhook that no message may be sent to.
    """
    for one in receivers:
        unknown = [event for event in one.events if event not in EVENTS]
        if unknown:
            raise Invalid(f"there is no event {unknown[0]!r}; choose from {', '.join(EVENTS)}")
        why = None if one.address.startswith("mailto:") else refuse_webhook(one.address)
        if why is not None:
            raise Invalid(f"address: {why}")
    with ctx.store.write(actor, "set_receivers") as unit:
        require(unit, actor, Role.ADMIN, Target(), "changing the settings")
        body = {"receivers": [one.model_dump(mode="json") for one in receivers]}
        setting = unit.settings.put(RECEIVERS, body, expected=expected)
        unit.audit("config.set", "installation:config", receivers=len(receivers))
        return setting


def send_test(ctx: Context, actor: Actor, number: int, *, expected: int) -> Receiver:
    """Puts a message for the receiver `number` (from 0) into the outbox; it goes the way that all go.

    Raises Conflict when the receivers are not those of the revision `expected`.
    """
    with ctx.store.write(actor, "send_test") as unit:
        require(unit, actor, Role.ADMIN, Target(), "sending a test message")
        receivers, revision = receivers_of(unit)
        if revision != expected or not number < len(receivers):
            raise Conflict("the receivers have been changed in the meantime; reload them and try again")
        receiver = receivers[number]
        unit.outbox.add("test.message", receiver.address, {"event": "test.message", "by": actor.name})
        unit.audit("notification.tested", "installation:config", receiver=number)
        return receiver
