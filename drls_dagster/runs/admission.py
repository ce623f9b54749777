"""Admission of a run, asked by the run coordinator and by the run itself (L10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drls_dagster.lifecycle_client.gateway import gateway_actor, open_lifecycle
from drls_dagster.lifecycle_client.opening import NoLifecycleYet
from drls_dagster.runs.part import Part
from drls_dagster.runs.refusal import GateRefused, refusal
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import Action
from lifecycle.domain.people import Actor
from lifecycle.domain.roles import Role
from lifecycle.domain.run import Admission
from lifecycle.errors import LifecycleError, StoreError
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.context import Context
from lifecycle.usecases.may import may
from lifecycle.usecases.touching import require_on


def lifecycle_of(settings: Settings) -> Context | None:
    """The lifecycle; None before it exists, so nothing is saved or deployed. Raises GateRefused otherwise."""
    try:
        return open_lifecycle(settings)
    except NoLifecycleYet:
        return None
    except StoreError as error:
        raise GateRefused(f"cannot reach the lifecycle, so nothing runs: {error.message}") from None


def admit(
    settings: Settings,
    part: Part,
    run_id: str,
    *,
    run_key: str,
    parameters: Mapping[str, Any],
    launched_by: Actor | None = None,
    ctx: Context | None = None,
) -> Admission | None:
    """The run's admission; admitted before, that one. None for a draft: in development a file may run unsaved.

    `launched_by` is the person who asked for the run, None for the installation itself. `ctx` is the lifecycle, where
    it is open already.
    Raises GateRefused with the reason.
    """
    ctx = ctx or lifecycle_of(settings)
    in_development = part.environment is Environment.DEVELOPMENT
    if ctx is None and not in_development:
        reason = "nothing is saved here, so nothing is deployed"
        raise GateRefused(refusal(settings, part.pipeline, part.environment, reason))
    if ctx is None:
        return None
    if in_development and is_draft(ctx, settings, part):
        _may_launch(ctx, settings, part, launched_by)
        return None
    try:
        return admit_run(
            ctx,
            launched_by or gateway_actor("gate"),
            run_id,
            name=part.pipeline,
            digest=part.digest,
            environment=part.environment,
            run_key=run_key,
            parameters=dict(parameters),
        )
    except LifecycleError as error:
        raise GateRefused(refusal(settings, part.pipeline, part.environment, error.message)) from None


def _may_launch(ctx: Context, settings: Settings, part: Part, launched_by: Actor | None) -> None:
    """A draft is not admitted, but not everybody's to run. Raises GateRefused."""
    if launched_by is None:
        return
    try:
        with ctx.store.read() as view:
            require_on(view, launched_by, Role.DATA_ENGINEER, [part.pipeline], "launching a run")
    except LifecycleError as error:
        raise GateRefused(refusal(settings, part.pipeline, part.environment, error.message)) from None


def is_draft(ctx: Context, settings: Settings, part: Part) -> bool:
    """Whether this is not the saved version. Raises GateRefused where development is stopped."""
    with ctx.store.read() as view:
        facts = view.gate.facts(part.pipeline, part.digest, part.environment, None)
    if facts is not None and facts.stopped is not None:
        answer = may(ctx, part.pipeline, part.digest, part.environment, Action.ADMIT)
        raise GateRefused(refusal(settings, part.pipeline, part.environment, answer.reason))
    return facts is None or facts.deleted or facts.active_id is None or facts.active_id != facts.version_id
