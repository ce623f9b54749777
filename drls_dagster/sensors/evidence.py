"""The run after a promotion, where a policy asks for one (`on_promote: run`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from drls_dagster.tags import REASON_TAG
from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import Action
from lifecycle.domain.people import system_actor
from lifecycle.domain.run import SessionState
from lifecycle.store.unit import View
from lifecycle.usecases.automation import policies_of
from lifecycle.usecases.context import Context
from lifecycle.usecases.may import may
from lifecycle.usecases.parts.rounds import Round

if TYPE_CHECKING:
    import dagster as dg

# A gate that says yes when asked and no to the run says so in each of them; more would not help.
TRIES = 3


@dataclass(frozen=True)
class Wanted:
    """A deployment whose first run is asked for, once."""

    environment: Environment
    pipeline_id: int
    pipeline: str
    digest: str
    deployment: int

    @property
    def reason(self) -> str:
        return f"promoted: deployment {self.deployment}"


def ask_evidence(
    ctx: Context,
    instance: dg.DagsterInstance,
    environments: tuple[Environment, ...] = (Environment.QA, Environment.UAT, Environment.PRODUCTION),
    *,
    settled_for: timedelta = timedelta(0),
    work: Round | None = None,
) -> list[str]:
    """Launches what is wanted, allowed and not launched yet; the names of the pipelines.

    `settled_for`: leave younger deployments to those who pushed them. A launch that was refused before it was
    admitted is tried again. Each pipeline is handled on its own: with `work`, what fails for one is kept there.
    """
    work = work or Round(ctx, system_actor("first runs"), "first runs")
    launched: list[str] = []
    for wanted in _wanted(ctx, environments, settled_for):
        with work.item(f"pipeline:{wanted.pipeline}", f"its first run in {wanted.environment.label}", wanted.pipeline):
            if _was_launched(ctx, instance, wanted):
                continue
            if not may(ctx, wanted.pipeline, wanted.digest, wanted.environment, Action.ADMIT).allowed:
                continue
            ctx.orchestrator.launch(wanted.environment, wanted.pipeline, wanted.reason)
            launched.append(wanted.pipeline)
    return launched


def _wanted(ctx: Context, environments: tuple[Environment, ...], settled_for: timedelta) -> list[Wanted]:
    found: list[Wanted] = []
    with ctx.store.read() as view:
        asking = {one.environment for one in view.policies.newest() if one.body and one.body.on_promote == "run"}
        for environment in environments:
            if environment not in asking:
                continue
            policy_of = policies_of(view, environment)
            for one in view.deployments.of(environment):
                policy = policy_of(one.pipeline_id)
                if policy is None or policy.body is None or policy.body.on_promote != "run":
                    continue
                # A policy asks for what comes after it, not for what was there.
                if one.reason != "promote" or one.started_at < policy.at or view.now - one.started_at < settled_for:
                    continue
                if _has_run(view, environment, one.pipeline_id, one.version_id):
                    continue
                name = view.pipelines.get(one.pipeline_id).name
                found.append(Wanted(environment, one.pipeline_id, name, one.deployed_digest, one.id))
    return found


def _has_run(view: View, environment: Environment, pipeline_id: int, version_id: int) -> bool:
    """Whether the evidence session of QA or UAT was begun; production has none."""
    if not environment.has_sessions:
        return False
    session = view.runs.newest_session(pipeline_id, environment, version_id)
    return session is not None and session.state is not SessionState.PENDING


def _was_launched(ctx: Context, instance: dg.DagsterInstance, wanted: Wanted) -> bool:
    import dagster as dg

    runs = instance.get_runs(dg.RunsFilter(tags={REASON_TAG: wanted.reason}), limit=TRIES)
    if len(runs) >= TRIES:
        return True
    with ctx.store.read() as view:
        return any(
            not run.is_finished or view.runs.admission(run.run_id, wanted.pipeline_id) is not None for run in runs
        )
