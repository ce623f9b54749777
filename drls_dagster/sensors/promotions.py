"""*promotions*: resumes what was interrupted, expires, reminds, notifies, and asks for the run after a promotion."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import dagster as dg

from drls_dagster.lifecycle_client.gateway import gateway_actor
from drls_dagster.lifecycle_client.notifying import sender_of
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.sensors.evidence import ask_evidence
from drls_dagster.sensors.steady import Background, Evaluation, Gateway, ItemsFailed, steady, told_of
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.ports import Notifier
from lifecycle.usecases.context import Context
from lifecycle.usecases.deliver import Delivered, deliver
from lifecycle.usecases.parts.rounds import Round
from lifecycle.usecases.tick import expire, remind, tick

SECONDS = 10
# Who promoted pushes: the reload first, then the run. A minute later nobody will.
_SETTLED = timedelta(minutes=1)
_NOTHING = "nothing due"


def promotions_sensor(environment: Environment, settings: Settings, gateway: Gateway) -> dg.SensorDefinition:
    """For the whole installation; it is defined in one location."""
    # Apart from each other: a catalog that hangs holds up neither expiry nor messages.
    telling = Background(lambda: tell_people(gateway(), lambda: instance_of(settings), lambda: sender_of(settings)))
    moving = Background(lambda: carry_on(gateway()))

    def evaluate(_: dg.SensorEvaluationContext) -> Evaluation:
        words: list[str] = []
        failed: list[Exception] = []
        for name, work in (("people", telling), ("requests", moving)):
            try:
                words.append(f"{name}: {work.tick()}")
            except Exception as error:  # noqa: BLE001 (raised below, when both were looked after)
                failed.append(error)
        if len(failed) > 1 and all(isinstance(one, ItemsFailed) for one in failed):
            raise ItemsFailed("; ".join(map(str, failed)))
        if failed:
            raise failed[0]
        return dg.SkipReason("; ".join(words))

    return steady(
        f"{environment}_promotions",
        evaluate,
        seconds=SECONDS,
        description="Executes due promotions, resumes interrupted ones, expires requests and sends reminders.",
    )


def carry_on(ctx: Context) -> str:
    """One round over the requests; what happened, in words."""
    done = tick(ctx, gateway_actor("promotions sensor"))
    told = [
        f"executed {len(done.executed)}" if done.executed else "",
        f"expired {len(done.expired)}" if done.expired else "",
    ]
    return told_of(ctx, told, "requests") or _NOTHING


def tell_people(ctx: Context, instance: Callable[[], dg.DagsterInstance], notifier: Callable[[], Notifier]) -> str:
    """One round of what needs no catalog: expires, reminds, delivers, asks for first runs; what happened, in words."""
    actor = gateway_actor("promotions sensor")
    expired = expire(ctx, actor)
    reminded = remind(ctx, actor)
    messages = Round(ctx, actor, "receivers")
    delivered = Delivered()
    with messages.item("settings:notify", "sending messages"):
        delivered = deliver(ctx, actor, notifier())
    messages.close()
    runs = Round(ctx, actor, "first runs")
    launched: list[str] = []
    with runs.item("dagster:runs", "looking at them"):
        launched = ask_evidence(ctx, instance(), settled_for=_SETTLED, work=runs)
    runs.close()
    told = [
        f"expired {len(expired)}" if expired else "",
        f"sent reminders for {reminded}" if reminded else "",
        f"sent {delivered.sent} messages" if delivered.sent else "",
        f"{delivered.postponed} messages are waiting for their receivers" if delivered.postponed else "",
        f"launched {', '.join(launched)}" if launched else "",
    ]
    return told_of(ctx, told, "reminders", "receivers", "messages", "first runs") or _NOTHING
