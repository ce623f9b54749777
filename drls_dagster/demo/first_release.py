"""v1: from a file to production, with everything that is refused on the way."""

from __future__ import annotations

from pathlib import Path

from drls_dagster.demo import versions
from drls_dagster.demo.stage import JUNE, SUMMER, Stage, moves
from drls_dagster.demo.telling import Astray, Telling
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import State

_QUORUM = Policy(quorum="1 LeadDataEngineer")


def save_the_first(stage: Stage, tell: Telling, example: Path) -> None:
    """Saved, run in development, and refused in production."""
    with tell.scene("Ada", "saves the flights pipeline as v1") as outcome:
        spec = versions.first(example, stage.name)
        version = stage.cast.ada.pipelines.save(spec, message="delays per day, use of each aircraft")
        outcome.done(f"{stage.name} v{version.number}, {version.digest[:19]}…, is active in development")
        for environment in (Environment.UAT, Environment.PRODUCTION):
            stage.cast.admin.environments.set_policy(environment, stage.name, _QUORUM)
        outcome.done(f"the Admin's policy for it: UAT and production take {_QUORUM.quorum}")
    with tell.scene("Ada", "runs v1 in development: June 2013") as outcome:
        outcome.done(stage.run_well(Environment.DEVELOPMENT, JUNE))
    with tell.scene("Ada", "starts v1 in production, where nobody approved it") as outcome:
        run = stage.run(Environment.PRODUCTION, JUNE, deployed=Environment.DEVELOPMENT)
        if run.success or run.tables:
            raise Astray("v1 ran in production, where nobody approved it")
        outcome.refused(stage.told(run.failure, "did not let"))


def approve_the_first(stage: Stage, tell: Telling) -> None:
    """Through QA into UAT, where it takes somebody else's approval."""
    with tell.scene("Ada", "promotes v1 to QA, which needs no approval, and runs it there: June") as outcome:
        stage.to_qa(1)
        outcome.done(stage.run_well(Environment.QA, JUNE))
    with tell.scene("Ada", "requests v1 for UAT, and approves it herself: she is also a lead") as outcome:
        request = stage.cast.ada.promotions.request(stage.name, 1, Environment.UAT, reason="first season")
        approve = stage.cast.ada.promotions.approve
        outcome.refused(stage.refusal(lambda: approve(request.id, request.plan_digest), "contributed to what"))
    with tell.scene("Grace", "approves it; Ada runs v1 in UAT: June to August") as outcome:
        stage.approved_by_grace(request)
        outcome.done(f"request {request.id} is done: v1 is active in UAT")
        outcome.done(stage.run_well(Environment.UAT, SUMMER))


def release_the_first(stage: Stage, tell: Telling) -> None:
    """Into production by moving refs, at the second attempt."""
    with tell.scene(
        "Grace", "approves v1 for production, but the Admin has changed the policy in the meantime"
    ) as outcome:
        request = stage.cast.ada.promotions.request(stage.name, 1, Environment.PRODUCTION, reason="first season")
        stage.cast.admin.environments.set_policy(
            Environment.PRODUCTION, stage.name, Policy(quorum=_QUORUM.quorum, expires=_QUORUM.expires / 7)
        )
        stale = stage.cast.grace.promotions.approve(request.id, request.plan_digest)
        stage.expect(stale, State.STALE)
        why = stage.told(stale.outcome, "policy: ")
        outcome.refused(f"request {stale.id} is {stale.state.value}, because its plan is out of date: {why}")
    with tell.scene("Ada", "refreshes the request, and Grace approves the current plan") as outcome:
        before = stage.weigh()
        fresh = stage.cast.ada.promotions.refresh(request.id)
        done, copied = stage.moved_only(lambda: stage.approved_by_grace(fresh), before)
        outcome.done(f"request {done.id} is done, v1 is production: {copied}")
        for move in moves(done):
            outcome.done(move)
