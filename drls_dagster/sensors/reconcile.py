"""*reconcile*: closes permits and runs that ended silently, finds drift, clears debris (L11, L15, D13)."""

from __future__ import annotations

import dagster as dg

from drls_dagster.lifecycle_client.gateway import gateway_actor
from drls_dagster.runs.handover import clear_left
from drls_dagster.sensors.debris import clear_debris
from drls_dagster.sensors.steady import Background, Evaluation, Gateway, steady, told_of
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.ports import RunState
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.rounds import Round
from lifecycle.usecases.reconcile import reconcile

SECONDS = 60


def reconcile_sensor(environment: Environment, settings: Settings, gateway: Gateway) -> dg.SensorDefinition:
    """For the whole installation; it is defined in one location."""
    work = Background(lambda: put_right(gateway(), settings))

    def evaluate(_: dg.SensorEvaluationContext) -> Evaluation:
        return dg.SkipReason(work.tick())

    return steady(
        f"{environment}_reconcile",
        evaluate,
        seconds=SECONDS,
        description="Closes runs that ended unnoticed, finds unexplained writes, and cleans up.",
    )


def put_right(ctx: Context, settings: Settings) -> str:
    """One round of it; what was found, in words."""
    actor = gateway_actor("reconcile sensor")
    found = reconcile(ctx, actor)
    work = Round(ctx, actor, "debris")
    cleared: list[str] = []
    with work.item("ledger:runs", "looking for debris"):
        cleared = clear_debris(settings, work)
    with work.item("runs:tokens", "removing tokens of runs that are over"):
        clear_left(settings, lambda run_id: ctx.orchestrator.run_state(run_id) is not RunState.ACTIVE)
    work.close()
    done = [
        f"{len(found.runs)} run(s) had ended" if found.runs else "",
        "; ".join(f"drift on {one.ref} of {one.table_name}" for one in found.drifts if one.file is None),
        "; ".join(f"{one.table_name}: {one.why}" for one in found.drifts if one.file is not None),
        f"removed {', '.join(found.columns)} of withdrawn versions" if found.columns else "",
        f"dropped {len(cleared)} branch(es)" if cleared else "",
    ]
    return told_of(ctx, done, "runs", "drift", "debris") or "everything is in order"
