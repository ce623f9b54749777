"""*deployments*: what this location loaded is what is deployed, or it is loaded again, or people hear of it (L15)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import dagster as dg

from drls_dagster.lifecycle_client.gateway import gateway_actor
from drls_dagster.lifecycle_client.loaded import loaded_digests, setting_name
from drls_dagster.sensors.steady import Evaluation, Gateway, steady
from lifecycle.domain.environment import Environment
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.telling import tell

SECONDS = 10
# After so many reloads that changed nothing it is no delay any more.
ANNOUNCED_AFTER = 8


def deployments_sensor(environment: str, loaded: Mapping[str, str], gateway: Gateway) -> dg.SensorDefinition:
    """`loaded`: by pipeline, the digest that this location was built from."""
    watch = _Watch(Environment(environment), dict(loaded), gateway)
    return steady(
        f"{environment}_deployments",
        watch.evaluate,
        seconds=SECONDS,
        description="Loads this location again when other versions are deployed than it loaded.",
    )


def deployed_digests(view: View, environment: Environment) -> dict[str, str]:
    """By pipeline: the digest that is deployed."""
    names = {one.id: one.name for one in view.pipelines.list(limit=1_000_000)}
    return {
        names[one.pipeline_id]: one.deployed_digest
        for one in view.deployments.of(environment)
        if one.pipeline_id in names
    }


class _Watch:
    """One location's sensor. Deployments change with an audit entry: while the log stands still, so do they."""

    def __init__(self, environment: Environment, loaded: dict[str, str], gateway: Gateway) -> None:
        self._environment = environment
        self._loaded = loaded
        self._gateway = gateway
        self._equal_at: int | None = None
        self._recorded = False

    def evaluate(self, context: dg.SensorEvaluationContext) -> Evaluation:
        ctx = self._gateway()
        if not self._recorded:
            self._record(ctx)
        with ctx.store.read() as view:
            head = view.log.head().sequence
            if head == self._equal_at:
                return dg.SkipReason("what is deployed is loaded")
            deployed = deployed_digests(view, self._environment)
        if deployed == self._loaded:
            self._equal_at = head
            return dg.SensorResult(skip_reason="what is deployed is loaded", cursor="")
        return self._differs(ctx, context, deployed)

    def _differs(self, ctx: Context, context: dg.SensorEvaluationContext, deployed: dict[str, str]) -> Evaluation:
        different = sorted(name for name in {*deployed, *self._loaded} if deployed.get(name) != self._loaded.get(name))
        pairs = [(name, self._loaded.get(name), deployed.get(name)) for name in different]
        mark = hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:16]
        before = json.loads(context.cursor) if context.cursor else {}
        looks = before.get("looks", 0) + 1 if before.get("mark") == mark else 1
        # Ever more seldom: a reload takes seconds of everything, and this one may never help.
        asked = looks & (looks - 1) == 0
        if asked:
            ctx.orchestrator.deployments_changed(self._environment)
        if looks == ANNOUNCED_AFTER:
            self._announce(ctx, different)
        shown = ", ".join(different[:5]) + (" …" if len(different) > 5 else "")
        told = f"loaded ≠ deployed: {shown}; {'asked for a reload' if asked else 'reloads did not help'}"
        return dg.SensorResult(skip_reason=told, cursor=json.dumps({"mark": mark, "looks": looks}))

    def _record(self, ctx: Context) -> None:
        """Keeps what this location loaded, for people to compare."""
        with ctx.store.read() as view:
            known = loaded_digests(view, self._environment)
        if known != self._loaded:
            with ctx.store.write(gateway_actor("deployments sensor"), "location_loaded") as unit:
                unit.settings.put(setting_name(self._environment), {"loaded": self._loaded})
                subject = f"location:{self._environment.value}"
                unit.audit("location.loaded", subject, pipelines=len(self._loaded))
        self._recorded = True

    def _announce(self, ctx: Context, different: list[str]) -> None:
        where = self._environment.value
        with ctx.store.write(gateway_actor("deployments sensor"), "find_drift") as unit:
            unit.audit("drift.loaded", f"location:{where}", pipelines=different)
            for name in different:
                tell(unit, "drift.loaded", name, environment=where)
