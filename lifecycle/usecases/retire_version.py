"""Retire: a version leaves production and nothing takes its place."""

from __future__ import annotations

from lifecycle.domain.environment import Environment, Role
from lifecycle.domain.people import Actor
from lifecycle.domain.version import Deployment, Pipeline, Version
from lifecycle.errors import Invalid, Refused
from lifecycle.spec import IcebergSource
from lifecycle.store.unit import View
from lifecycle.usecases.access import require, target_of
from lifecycle.usecases.context import Context
from lifecycle.usecases.holding import refuse_when_frozen
from lifecycle.usecases.specs import spec_of
from lifecycle.usecases.switch import deactivate, require_no_execution


def retire_version(
    ctx: Context,
    actor: Actor,
    name: str,
    number: int,
    *,
    reason: str,
    consent: bool = False,
    key: str | None = None,
) -> Deployment:
    """The production deployment that ended. `consent` accepts that active pipelines read its tables."""
    if not reason.strip():
        raise Invalid("retiring needs a reason: say why nobody needs the pipeline any more")
    command = {"name": name, "version": number, "reason": reason, "consent": consent}
    with ctx.store.write(actor, "retire_version", key=key, command=command) as unit:
        earlier = unit.earlier(Deployment)
        if earlier is not None:
            return earlier
        pipeline = unit.pipelines.named(name)
        version = unit.pipelines.numbered(pipeline, number)
        require(unit, actor, Role.LEAD, target_of(unit, pipeline), "retiring a version")
        refuse_when_frozen(unit, Environment.PRODUCTION, pipeline)
        require_no_execution(unit, pipeline, Environment.PRODUCTION)
        active = unit.deployments.active(pipeline.id, Environment.PRODUCTION)
        if active is None or active.version_id != version.id:
            raise Refused(f"{name} v{number} is not active in production; there is nothing to retire")
        readers = consumers(unit, pipeline, version)
        if readers and not consent:
            raise Refused(f"{', '.join(readers)} read its tables in production; retire them first, or consent")
        deactivate(unit, pipeline, active, f"retired: {reason}", revoke=True)
        unit.remember(active)
    ctx.orchestrator.deployments_changed(Environment.PRODUCTION)
    return active


def consumers(view: View, pipeline: Pipeline, version: Version) -> tuple[str, ...]:
    """The pipelines active in production that read a table which `version` writes."""
    tables = set(view.pipelines.tables(version.id))
    readers: list[str] = []
    for deployment in view.deployments.of(Environment.PRODUCTION):
        if deployment.pipeline_id == pipeline.id:
            continue
        spec = spec_of(view.pipelines.version(deployment.version_id))
        read = {node.source.table for node in spec.sources if isinstance(node.source, IcebergSource)}
        if read & tables:
            readers.append(spec.name)
    return tuple(sorted(readers))
