"""What the run coordinator and the launchers have in common: asking for a whole Dagster run, and refusing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from drls_dagster.dagster_private.tags import USER_TAG
from drls_dagster.gate.parts import parameters_given, parts_of, run_key
from drls_dagster.lifecycle_client.gateway import gateway_actor
from drls_dagster.lifecycle_client.opening import os_user
from drls_dagster.runs.admission import admit, lifecycle_of
from drls_dagster.runs.part import Part
from drls_dagster.runs.refusal import GateRefused, mark_refused, refusal
from drls_dagster.settings import load_settings
from drls_dagster.tags import DRAFT, ENVIRONMENT_TAG, LANE_TAG, PIPELINE_TAG, RELEASE_TAG, VERSION_TAG
from lifecycle.domain.gate import Action
from lifecycle.domain.people import Actor
from lifecycle.domain.run import Admission
from lifecycle.usecases.may import may
from lifecycle.usecases.start_run import finish_run

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun


def admit_whole(
    instance: DagsterInstance, run: DagsterRun, parts: Sequence[Part], launched_by: Actor | None = None
) -> list[Admission | None]:
    """Admits every pipeline of a run, or none of them: what was admitted is given back. None stands for a draft.

    Raises GateRefused.
    """
    settings = load_settings()
    key = run_key(instance, run)
    try:
        return [
            admit(
                settings,
                part,
                run.run_id,
                run_key=key,
                parameters=parameters_given(run, part.pipeline),
                launched_by=launched_by,
            )
            for part in parts
        ]
    except GateRefused:
        give_back(instance, run, "refused before it started")
        raise


def shown_tags(run: DagsterRun, admissions: Sequence[Admission | None], launched_by: Actor | None) -> dict[str, str]:
    """What Dagster's list of runs shows of a run: its version as people call it, and whose run it is.

    A name that nobody signed for gives way to the account of this machine.
    """
    ctx = lifecycle_of(load_settings())
    if ctx is None:
        labels = [DRAFT for _ in admissions]
    else:
        with ctx.store.read() as view:
            labels = [f"v{view.pipelines.version(one.version_id).number}" if one else DRAFT for one in admissions]
    named = launched_by.name if launched_by else os_user() if USER_TAG in run.tags else None
    person = {USER_TAG: named} if named else {}
    return {**({RELEASE_TAG: ", ".join(labels)[:250]} if labels else {}), **person}


def refuse_revoked(instance: DagsterInstance, run: DagsterRun) -> None:
    """Raises GateRefused where a queued run may no longer begin."""
    settings = load_settings()
    for part in parts_of(instance, run):
        ctx = lifecycle_of(settings)
        if ctx is None:
            continue
        with ctx.store.read() as view:
            pipeline = view.pipelines.find(part.pipeline)
            admission = view.runs.admission(run.run_id, pipeline.id) if pipeline else None
        if admission is None and not part.environment.rank:
            continue  # a draft in development
        answer = may(ctx, part.pipeline, part.digest, part.environment, Action.RUN, run_id=run.run_id)
        if not answer.allowed:
            raise GateRefused(refusal(settings, part.pipeline, part.environment, answer.reason))


def give_back(instance: DagsterInstance, run: DagsterRun, why: str) -> None:
    """Says that a run is over before it began, so that the next may go."""
    settings = load_settings()
    for part in parts_of(instance, run):
        ctx = lifecycle_of(settings)
        if ctx is not None:
            with ctx.store.read() as view:
                known = view.pipelines.find(part.pipeline)
            if known is not None and known.deleted_at is None:
                finish_run(ctx, gateway_actor("gate"), run.run_id, part.pipeline, why=why)


def own_tags(parts: Sequence[Part]) -> dict[str, str]:
    """The tags that say what a run of these parts is, whatever the launch has put there."""
    if not parts:
        return {}
    environments = {part.environment.value for part in parts}
    environment = environments.pop() if len(environments) == 1 else "several"
    names = ",".join(part.pipeline for part in parts)
    # One lane: two runs that share a pipeline and are not the same set meet at the step, which waits.
    tags = {PIPELINE_TAG: names[:250], ENVIRONMENT_TAG: environment, LANE_TAG: f"{environment}:{names}"[:250]}
    return {**tags, VERSION_TAG: parts[0].digest} if len(parts) == 1 else tags


def fail(instance: DagsterInstance, run: DagsterRun, message: str) -> None:
    """Ends a refused run with its message. Not by raising: Dagster would log a traceback of itself."""
    fresh = instance.get_run_by_id(run.run_id)
    if fresh is not None and not fresh.is_finished:
        instance.report_run_failed(fresh, message)
        mark_refused(instance, run.run_id)
