"""Retire: a version leaves production and nothing takes its place."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Deployment, Pipeline, Version
from lifecycle.errors import Invalid
from lifecycle.spec import IcebergSource
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.holding import freeze_check
from lifecycle.usecases.parts.access import require, role_check, target_of
from lifecycle.usecases.parts.activation import Ending, active_check, deactivate, ending, execution_check
from lifecycle.usecases.parts.following import reload
from lifecycle.usecases.parts.specs import spec_of


@dataclass(frozen=True, slots=True)
class Retirement:
    """What retiring would do now. `ends` is None where there is nothing to retire.

    `checks` are those with consent; `consumers` are what it would be consent to, `tables` what stays behind.
    """

    version: Version
    checks: tuple[Check, ...]
    ends: Deployment | None
    ending: Ending
    consumers: tuple[str, ...]
    tables: tuple[str, ...]


def plan_retirement(ctx: Context, actor: Actor, name: str, number: int) -> Retirement:
    """What `retire_version` would do, and what it would refuse; changes nothing."""
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "planning a retirement")
        version = view.pipelines.numbered(pipeline, number)
        active = view.deployments.active(pipeline.id, Environment.PRODUCTION)
        ends = active if active is not None and active.version_id == version.id else None
        return Retirement(
            version=version,
            checks=retire_checks(view, actor, pipeline, version, consent=True),
            ends=ends,
            ending=ending(view, ends) if ends else Ending(),
            consumers=consumers(view, pipeline, version),
            tables=view.pipelines.tables(version.id),
        )


def retire_checks(
    view: View, actor: Actor, pipeline: Pipeline, version: Version, *, consent: bool = False
) -> tuple[Check, ...]:
    """What retiring `version` asks for, apart from a reason."""
    return (
        role_check(view, actor, Role.LEAD, target_of(view, pipeline), "retiring a version"),
        freeze_check(view, Environment.PRODUCTION, pipeline),
        execution_check(view, pipeline, Environment.PRODUCTION),
        active_check(view, pipeline, version, Environment.PRODUCTION, "retire"),
        _consumers_check(view, pipeline, version, consent=consent),
    )


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
        raise Invalid("retiring needs a reason: say why the pipeline is no longer needed")
    command = {"name": name, "version": number, "reason": reason, "consent": consent}
    with ctx.store.write(actor, "retire_version", key=key, command=command) as unit:
        earlier = unit.earlier(Deployment)
        if earlier is not None:
            return earlier
        pipeline = unit.pipelines.named(name)
        version = unit.pipelines.numbered(pipeline, number)
        refuse(retire_checks(unit, actor, pipeline, version, consent=consent))
        active = unit.deployments.active(pipeline.id, Environment.PRODUCTION)
        assert active is not None  # noqa: S101 (one of the checks)
        deactivate(unit, pipeline, active, f"retired: {reason}", ending(unit, active))
        unit.remember(active)
    reload(ctx, Environment.PRODUCTION)
    return active


def consumers(view: View, pipeline: Pipeline, version: Version) -> tuple[str, ...]:
    """The pipelines active in production that read a table which `version` writes."""
    tables = set(view.pipelines.tables(version.id))
    readers: list[str] = []
    for reader in view.deployments.versions_naming(tables, Environment.PRODUCTION):
        if reader.pipeline_id == pipeline.id:
            continue
        spec = spec_of(reader)
        if tables & {node.source.table for node in spec.sources if isinstance(node.source, IcebergSource)}:
            readers.append(spec.name)
    return tuple(sorted(readers))


def _consumers_check(view: View, pipeline: Pipeline, version: Version, *, consent: bool) -> Check:
    readers = consumers(view, pipeline, version)
    if not readers:
        return Check(True, "no pipeline active in production reads its tables")
    names = ", ".join(readers)
    if not consent:
        return Check(False, f"{names} read its tables in production; retire them first, or consent")
    return Check(True, f"{names} read its tables in production; you consented to this")
