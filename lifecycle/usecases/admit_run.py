"""Admit: a run is tied, once, to the version it was created with (L10)."""

from __future__ import annotations

from typing import Any

from lifecycle.domain.checklist import Check
from lifecycle.domain.environment import Environment
from lifecycle.domain.fence import FenceFinder
from lifecycle.domain.gate import Action
from lifecycle.domain.people import Actor
from lifecycle.domain.roles import Role
from lifecycle.domain.run import Admission, AdmissionState
from lifecycle.domain.version import Pipeline, Version
from lifecycle.errors import Refused
from lifecycle.spec import Parameter
from lifecycle.store.unit import Unit
from lifecycle.usecases.context import Context
from lifecycle.usecases.may import ask
from lifecycle.usecases.parts.access import role_check, target_of
from lifecycle.usecases.parts.fencing import unfenced_run
from lifecycle.usecases.parts.specs import spec_of


def admit_run(
    ctx: Context,
    actor: Actor,
    run_id: str,
    *,
    name: str,
    digest: str,
    environment: Environment,
    run_key: str | None = None,
    parameters: dict[str, Any] | None = None,
) -> Admission:
    """The run's admission, queued; admitted before, that one, whatever is active by now.

    `run_key` is the id of the first run of a chain of re-executions; re-executing another version's run is
    refused (L5). A person needs the role DataEngineer on the pipeline. Raises Refused with the reason for people,
    Forbidden or Unauthorized for what they may not do; refusals are in the audit log.
    """
    root = run_key or run_id
    given = parameters or {}
    with ctx.store.write(actor, "admit_run") as unit:
        pipeline = unit.pipelines.named(name)
        known = unit.runs.admission(run_id, pipeline.id)
        version = unit.pipelines.with_digest(pipeline.id, digest)
        if known is not None and version is not None and known.version_id == version.id:
            return known
        may = _may_launch(unit, actor, pipeline)
        why = (
            _why_not(
                unit,
                pipeline,
                version,
                environment,
                digest=digest,
                known=known,
                root=root,
                parameters=given,
                fence=ctx.fence,
            )
            if may.ok
            else may.text
        )
        if why or version is None:
            unit.audit(
                "admission.refused",
                f"run:{run_id}",
                pipeline=name,
                digest=digest,
                environment=environment.value,
                reason=why,
            )
        else:
            admission = unit.runs.add_admission(
                run_id=run_id,
                root_run_id=root,
                environment=environment.value,
                pipeline_id=pipeline.id,
                version_id=version.id,
                session_id=None,
                state=AdmissionState.QUEUED.value,
                parameters=given,
                way_in=actor.way_in.value,
                admitted_by=actor.person,
            )
            unit.audit(
                "admission.granted",
                f"run:{run_id}",
                pipeline=name,
                version=version.number,
                environment=environment.value,
                parameters=given,
            )
            return admission
    raise (Refused if may.ok else may.error)(why)


def _may_launch(unit: Unit, actor: Actor, pipeline: Pipeline) -> Check:
    """A person needs a role; the installation launches what schedules, sensors and its owner start."""
    if actor.person is None:
        return Check(True, "the installation launches it")
    return role_check(unit, actor, Role.DATA_ENGINEER, target_of(unit, pipeline), "launching a run")


def _why_not(
    unit: Unit,
    pipeline: Pipeline,
    version: Version | None,
    environment: Environment,
    *,
    digest: str,
    known: Admission | None,
    root: str,
    parameters: dict[str, Any],
    fence: FenceFinder,
) -> str:
    """Why this run is refused, or nothing."""
    answer = ask(unit, pipeline.name, digest, environment, Action.ADMIT)
    if not answer.allowed or version is None:
        return answer.reason
    unfenced = unfenced_run(unit, pipeline.id, environment, fence)
    if unfenced:
        return unfenced
    if known is not None:
        return f"this run was admitted with another version of {pipeline.name}; launch a new run"
    parent = unit.runs.admission(root, pipeline.id)
    if parent is not None and (parent.version_id, parent.environment) != (version.id, environment):
        ran = unit.pipelines.version(parent.version_id).number
        there = parent.environment.label
        return f"the run to re-execute ran {pipeline.name} v{ran} in {there}; launch a new run"
    declared = spec_of(version).parameters
    fixed = [name for name, value in parameters.items() if not _may_be(declared.get(name), value)]
    if environment.governed and fixed:
        return f"{', '.join(sorted(fixed))} may not be changed in {environment.label}; declare it runtime: true"
    return ""


def _may_be(declared: Parameter | None, value: Any) -> bool:
    """Whether a parameter may have this value where only those with `runtime: true` may change (L5)."""
    if declared is None:
        return False
    if declared.runtime:
        return True
    try:
        return declared.default is not None and declared.coerce(value) == declared.default
    except ValueError:
        return False
