"""*deployments*: what this location loaded is what is deployed, or it is loaded again, or people hear of it (L15)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping

import dagster as dg

from drls_dagster.lifecycle_client.gateway import gateway_actor
from drls_dagster.sensors.steady import Evaluation, Gateway, steady
from lifecycle.domain.environment import Environment
from lifecycle.store.unit import View
from lifecycle.usecases.automation import deployed_digests, starting_schedules
from lifecycle.usecases.context import Context
from lifecycle.usecases.loaded import DRAFT, loaded_digests, record_loaded, stuck_pipelines
from lifecycle.usecases.parts.following import reload
from lifecycle.usecases.parts.outbox import tell

SECONDS = 10
# After so many reloads that changed nothing it is more than a delay.
ANNOUNCED_AFTER = 8


def deployments_sensor(
    environment: Environment,
    loaded: Mapping[str, str],
    gateway: Gateway,
    *,
    scheduled: Collection[str] = (),
    starting: Collection[str] = (),
) -> dg.SensorDefinition:
    """`loaded`: by pipeline, the digest that this location was built from, DRAFT for an unsaved file.

    `scheduled` names those with a schedule, `starting` those whose schedule the policy lets run automatically.
    """
    watch = _Watch(environment, dict(loaded), frozenset(scheduled), frozenset(starting), gateway)
    return steady(
        f"{environment}_deployments",
        watch.evaluate,
        seconds=SECONDS,
        description="Reloads this location when the deployed versions differ from the loaded ones.",
    )


class _Watch:
    """One location's sensor. What it compares changes with an audit entry: without new entries, neither does that."""

    def __init__(
        self,
        environment: Environment,
        loaded: dict[str, str],
        scheduled: frozenset[str],
        starting: frozenset[str],
        gateway: Gateway,
    ) -> None:
        self._environment = environment
        self._loaded = loaded
        self._scheduled = scheduled
        self._starting = starting
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
                return dg.SkipReason("the deployed versions are loaded")
            deployed = deployed_digests(view, self._environment)
            different = self._different(view, deployed)
            stuck = stuck_pipelines(view, self._environment)
        if different:
            return self._differs(ctx, context, different, deployed)
        if stuck:
            self._note(ctx, [])
        else:
            self._equal_at = head
        return dg.SensorResult(skip_reason="the deployed versions are loaded", cursor="")

    def _different(self, view: View, deployed: Mapping[str, str]) -> list[str]:
        """Pipelines of which this location is not what it would be if it were loaded now."""
        drafts = {name for name, digest in self._loaded.items() if digest == DRAFT}
        names = {*deployed, *self._loaded} - drafts
        started = starting_schedules(view, self._environment, self._scheduled)
        return sorted(
            {name for name in names if deployed.get(name) != self._loaded.get(name)} | (started ^ self._starting)
        )

    def _differs(
        self, ctx: Context, context: dg.SensorEvaluationContext, different: list[str], deployed: Mapping[str, str]
    ) -> Evaluation:
        pairs = [(name, self._loaded.get(name), deployed.get(name)) for name in different]
        mark = hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:16]
        before = json.loads(context.cursor) if context.cursor else {}
        looks = before.get("looks", 0) + 1 if before.get("mark") == mark else 1
        # Ever more seldom: a reload takes seconds of everything, and this one may never help.
        asked = looks & (looks - 1) == 0
        if asked:
            reload(ctx, self._environment)
        if looks == ANNOUNCED_AFTER:
            self._note(ctx, different)
        shown = ", ".join(different[:5]) + (" …" if len(different) > 5 else "")
        told = f"loaded ≠ deployed: {shown}; {'requested a reload' if asked else 'reloading did not help'}"
        return dg.SensorResult(skip_reason=told, cursor=json.dumps({"mark": mark, "looks": looks}))

    def _record(self, ctx: Context) -> None:
        """Keeps what this location loaded, for people to compare."""
        with ctx.store.read() as view:
            known = loaded_digests(view, self._environment)
        if known != self._loaded:
            with ctx.store.write(gateway_actor("deployments sensor"), "location_loaded") as unit:
                record_loaded(unit, self._environment, self._loaded)
                subject = f"location:{self._environment.value}"
                unit.audit("location.loaded", subject, pipelines=len(self._loaded))
        self._recorded = True

    def _note(self, ctx: Context, stuck: list[str]) -> None:
        """That reloads do not help, which blocks promotions of these pipelines; or (none) that all is well again."""
        where = self._environment.value
        with ctx.store.write(gateway_actor("deployments sensor"), "find_drift") as unit:
            record_loaded(unit, self._environment, self._loaded, stuck=stuck)
            unit.audit("drift.loaded" if stuck else "drift.loaded_again", f"location:{where}", pipelines=stuck)
            for name in stuck:
                tell(unit, "drift.loaded", name, environment=where)
