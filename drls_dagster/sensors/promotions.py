"""*promotions*: carries on what was interrupted, expires, reminds, tells, and asks for the run after a promotion."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from drls_dagster.lifecycle_client.gateway import gateway_actor
from drls_dagster.lifecycle_client.notifying import sender_of
from drls_dagster.orchestrator.evidence import ask_evidence
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.sensors.steady import Background, Evaluation, Gateway, steady
from drls_dagster.settings import Settings
from lifecycle.ports import Notifier
from lifecycle.usecases.context import Context
from lifecycle.usecases.deliver import deliver
from lifecycle.usecases.tick import remind, tick

SECONDS = 10
# Who promoted pushes: the reload first, then the run. A minute later nobody will.
_SETTLED = timedelta(minutes=1)


def promotions_sensor(environment: str, settings: Settings, gateway: Gateway) -> dg.SensorDefinition:
    """For the whole installation; it is defined in one location."""
    work = Background(lambda: carry_on(gateway(), instance_of(settings), sender_of(settings)))

    def evaluate(_: dg.SensorEvaluationContext) -> Evaluation:
        return dg.SkipReason(work.tick())

    return steady(
        f"{environment}_promotions",
        evaluate,
        seconds=SECONDS,
        description="Executes promotions that are due, resumes interrupted ones, expires and reminds.",
    )


def carry_on(ctx: Context, instance: dg.DagsterInstance, notifier: Notifier) -> str:
    """One round of it; what happened, in words."""
    actor = gateway_actor("promotions sensor")
    done = tick(ctx, actor)
    reminded = remind(ctx, actor)
    launched = ask_evidence(ctx, instance, settled_for=_SETTLED)
    delivered = deliver(ctx, actor, notifier)
    told = [
        f"executed {len(done.executed)}" if done.executed else "",
        f"expired {len(done.expired)}" if done.expired else "",
        f"reminded of {reminded}" if reminded else "",
        f"sent {delivered.sent} messages" if delivered.sent else "",
        f"{delivered.postponed} messages wait for their receiver" if delivered.postponed else "",
        f"launched {', '.join(launched)}" if launched else "",
    ]
    return "; ".join(filter(None, told)) or "nothing was due"
