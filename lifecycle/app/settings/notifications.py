"""Who is notified of what, and undelivered messages. A webhook's address may be a secret: it is shown once, typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Path, Request
from pydantic import ValidationError
from starlette.responses import Response

from lifecycle.app.kit import links
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.domain.people import Target
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, Invalid
from lifecycle.store.repositories.outbox import Pending
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.deliver import MAX_ATTEMPTS
from lifecycle.usecases.parts.access import require
from lifecycle.usecases.parts.outbox import EVENTS
from lifecycle.usecases.set_receivers import MOST, Receiver, receivers_of, send_test, set_receivers

router = APIRouter()
Revision = Annotated[int, Form(ge=0, le=2**53)]
Number = Annotated[int, Path(ge=0, le=MOST)]
Events = Annotated[tuple[str, ...], Form(max_length=30)]


@dataclass(frozen=True, slots=True)
class ReceiverLine:
    """A receiver: `address` without what may be secret, the events as words (empty: all), and how it goes."""

    number: int
    address: str
    events: tuple[str, ...]
    sent: int
    waiting: int
    given_up: int


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message that did not arrive yet."""

    id: int
    event: str
    receiver: str
    state: str
    attempts: int
    error: str
    created_at: datetime
    next_at: datetime


def masked(address: str) -> str:
    """An address as pages show it: of a webhook the host and the last characters, which tell two apart."""
    if address.startswith("mailto:"):
        return address.removeprefix("mailto:")
    parts = urlsplit(address)
    tail = f"{parts.path}{'?' + parts.query if parts.query else ''}"
    shown = tail if len(tail) <= 1 else f"/…{tail[-4:]}" if len(tail) > 12 else "/…"
    return f"{parts.scheme}://{parts.hostname or '…'}{':' + str(parts.port) if _port(address) else ''}{shown}"


def receiver_lines(receivers: Sequence[Receiver], counts: Iterable[tuple[str, str, int]]) -> tuple[ReceiverLine, ...]:
    """The receivers with their share of the outbox."""
    by_state = {(receiver, state): count for receiver, state, count in counts}

    def count(one: Receiver, state: str) -> int:
        return by_state.get((one.address, state), 0)

    return tuple(
        ReceiverLine(number, masked(one.address), one.events, *(count(one, state) for state in _STATES))
        for number, one in enumerate(receivers)
    )


_STATES = ("sent", "pending", "given_up")


def message_line(one: Pending) -> MessageLine:
    """A message; what a network library says often repeats the address, which stays out of the page."""
    address, hidden = one.receiver, masked(one.receiver)
    error = one.last_error.replace(address, hidden)
    return MessageLine(one.id, one.event, hidden, one.state, one.attempts, error, one.created_at, one.next_at)


@router.get("/settings/notifications")
def notifications(ctx: Ctx, request: Request, who: Who) -> Response:
    """Receivers, and what waits in the outbox."""
    with ctx.store.read() as view:
        _require(view, who)
        receivers, revision = receivers_of(view)
        counts, waiting = view.outbox.counts(), view.outbox.undelivered()
    return render(
        request,
        "settings/notifications.html",
        receivers=receiver_lines(receivers, counts),
        revision=revision,
        events=EVENTS,
        most=MAX_ATTEMPTS,
        messages=[message_line(one) for one in waiting],
    )


@router.get("/settings/notifications/outbox")
def outbox(ctx: Ctx, request: Request, who: Who) -> Response:
    """What waits in the outbox, again."""
    with ctx.store.read() as view:
        _require(view, who)
        waiting = view.outbox.undelivered()
    return render(request, "settings/outbox.html", messages=[message_line(one) for one in waiting])


@router.post("/settings/notifications")
def add(
    ctx: Ctx,
    request: Request,
    who: Who,
    revision: Revision,
    address: Annotated[str, Form(max_length=500)],
    events: Events = (),
) -> Response:
    """Adds a receiver."""
    fresh = _receiver(_address(address), events)
    receivers = _current(ctx, who, revision)
    if any(one.address == fresh.address for one in receivers):
        raise Conflict("this receiver already exists; change its events instead")
    if len(receivers) >= MOST:
        raise Conflict(f"there are already {MOST} receivers; remove one first")
    set_receivers(ctx, who.actor, [*receivers, fresh], expected=revision)
    return done(request, links.notifications(), f"{masked(fresh.address)} will be notified from now on.")


@router.post("/settings/notifications/{number}/events")
def change(ctx: Ctx, request: Request, who: Who, number: Number, revision: Revision, events: Events = ()) -> Response:
    """Changes a receiver's events."""
    receivers = _current(ctx, who, revision)
    changed = _receiver(_numbered(receivers, number).address, events)
    set_receivers(ctx, who.actor, [*receivers[:number], changed, *receivers[number + 1 :]], expected=revision)
    return done(request, links.notifications(), f"Events for {masked(changed.address)} changed.")


@router.post("/settings/notifications/{number}/remove")
def remove(ctx: Ctx, request: Request, who: Who, number: Number, revision: Revision) -> Response:
    """Removes a receiver."""
    receivers = _current(ctx, who, revision)
    gone = _numbered(receivers, number)
    set_receivers(ctx, who.actor, [*receivers[:number], *receivers[number + 1 :]], expected=revision)
    return done(request, links.notifications(), f"{masked(gone.address)} will no longer be notified.")


@router.post("/settings/notifications/{number}/test")
def test(ctx: Ctx, request: Request, who: Who, number: Number, revision: Revision) -> Response:
    """Sends a receiver a message, the way that all go."""
    receiver = send_test(ctx, who.actor, number, expected=revision)
    told = f"A test message to {masked(receiver.address)} is in the outbox and will be sent with the next delivery."
    return done(request, links.notifications(), told)


def _current(ctx: Context, who: Who, revision: int) -> tuple[Receiver, ...]:
    """The receivers as the page showed them. Raises Conflict when they are others by now."""
    with ctx.store.read() as view:
        _require(view, who)
        receivers, now = receivers_of(view)
    if now != revision:
        raise Conflict("someone else has changed the receivers; reload the page and try again")
    return receivers


def _numbered(receivers: Sequence[Receiver], number: int) -> Receiver:
    if number >= len(receivers):
        raise Conflict("this receiver no longer exists; reload the page")
    return receivers[number]


def _address(text: str) -> str:
    """What people type: an e-mail address, or an address of the web."""
    typed = text.strip()
    return typed if ":" in typed or "@" not in typed else f"mailto:{typed}"


def _receiver(address: str, events: Sequence[str]) -> Receiver:
    unknown = [event for event in events if event not in EVENTS]
    if unknown:
        raise Invalid(f"there is no event {unknown[0][:50]!r}")
    try:
        _port(address)
        return Receiver(address=address, events=tuple(events))
    except ValidationError:
        raise Invalid("address: write https://… for a webhook, or an email address") from None


def _port(address: str) -> int | None:
    try:
        return urlsplit(address).port
    except ValueError:
        raise Invalid("address: this is not a valid web address") from None


def _require(view: View, who: Who) -> None:
    require(view, who.actor, Role.ADMIN, Target(), "reading the settings")
