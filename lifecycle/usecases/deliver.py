"""Deliver: sends what the outbox holds. A dead receiver is tried again and never blocks anything."""

from __future__ import annotations

from datetime import timedelta

from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.outages import is_defect
from lifecycle.ports import Message, Notifier
from lifecycle.store.repositories.outbox import Pending
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.rounds import Round

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=6)
MAX_ATTEMPTS = 12


class Delivered(Frozen):
    """How many messages went out, will be tried again, and were given up."""

    sent: int = 0
    postponed: int = 0
    given_up: int = 0


def deliver(ctx: Context, actor: Actor, notifier: Notifier) -> Delivered:
    """Tries every message that is due, once; outside any transaction.

    A message may arrive twice when this process dies between sending and noting; its key is the same.
    Receivers that just failed are left alone until the next call, so that one dead receiver costs one try.
    """
    with ctx.store.read() as view:
        due = view.outbox.due()
    counts = {"pending": 0, "sent": 0, "given_up": 0}
    dead: set[str] = set()
    work = Round(ctx, actor, "messages")
    for pending in due:
        if pending.receiver in dead:
            continue
        error = _send(notifier, pending, work)
        if error:
            dead.add(pending.receiver)
        with work.item(f"notification:{pending.id}", "noting its delivery"):
            counts[_note(ctx, actor, pending, error)] += 1
    work.close()
    return Delivered(sent=counts["sent"], postponed=counts["pending"], given_up=counts["given_up"])


def _send(notifier: Notifier, pending: Pending, work: Round) -> str:
    """Nothing, or why it did not work. A defect is no dead receiver: it shows as one, and is tried again likewise."""
    key = f"drls-{pending.id}"
    message = Message(key=key, event=pending.event, receiver=pending.receiver, body=pending.body)
    try:
        notifier.deliver(message)
    except Exception as error:
        if is_defect(error):
            with work.item(key.replace("drls-", "notification:"), f"sending it to {pending.receiver}"):
                raise
        return f"{type(error).__name__}: {error}"[:500]
    return ""


def _note(ctx: Context, actor: Actor, pending: Pending, error: str) -> str:
    with ctx.store.write(actor, "deliver") as unit:
        pause = min(FIRST_PAUSE * 2**pending.attempts, LONGEST_PAUSE)
        over = "given_up" if pending.attempts + 1 >= MAX_ATTEMPTS else "pending"
        state = over if error else "sent"
        if unit.outbox.settle(pending, state=state, next_at=unit.now + pause, error=error):
            unit.audit(f"notification.{state}", f"notification:{pending.id}", error=error)
        return state
