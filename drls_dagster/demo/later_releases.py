"""v2 is wrong and is stopped in UAT; v3 puts it right, is released, and rolled back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from drls_dagster.demo import versions
from drls_dagster.demo.stage import JUNE, SUMMER, Stage, moves
from drls_dagster.demo.telling import Astray, Telling
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from lifecycle.verbs.answers import RequestDetail


def stop_the_second(stage: Stage, tell: Telling, example: Path) -> None:
    """QA's month hides the mistake; UAT's months have it, and a blocking check finds it."""
    production = stage.heads()
    with tell.scene("Ada", "saves v2, which adds mean_wind and trusts the weather to be complete") as outcome:
        stage.cast.ada.pipelines.save(versions.second(example, stage.name), message="mean wind; simpler joins")
        stage.to_qa(2)
        outcome.done(f"in QA, where it runs June: {stage.run_well(Environment.QA, JUNE)}")
    with tell.scene("Grace", "approves v2 for UAT; it runs June to August, which lack some weather") as outcome:
        stage.approved_by_grace(stage.cast.ada.promotions.request(stage.name, 2, Environment.UAT, reason="mean wind"))
        run = stage.run(Environment.UAT, SUMMER)
        if run.success or "daily_delays" in {table["node"] for table in run.tables}:
            raise Astray("v2 published in UAT, although some of its risks are not numbers")
        outcome.refused(stage.told(run.failure, "was not published"))
        plan = stage.cast.ada.promotions.plan(stage.name, 2, Environment.PRODUCTION)
        if not plan.problems:
            raise Astray("v2 could be requested for production, although a blocking check failed in UAT")
        outcome.refused(f"it cannot go to production: {plan.problems[0]}")
        delays = stage.tables[0]
        if stage.heads() != production or stage.heads("uat")[delays] != production[delays]:
            raise Astray(f"v2 moved {delays}: {production} became {stage.heads()}, in UAT {stage.heads('uat')}")
        outcome.done(f"daily_delays is still v1's, in UAT and in production: snapshot {production[delays]}")
        if run.tables:
            outcome.done("aircraft_use passed its own checks in UAT, but a run with a failed sink is not evidence")


def release_the_third(stage: Stage, tell: Telling, example: Path) -> None:
    """The same way again, without the mistake."""
    with tell.scene("Ada", "saves v3, which takes missing weather as calm again, and promotes it to QA") as outcome:
        stage.cast.ada.pipelines.save(versions.third(example, stage.name), message="missing weather is calm")
        stage.to_qa(3)
        outcome.done(f"June: {stage.run_well(Environment.QA, JUNE)}")
    with tell.scene("Grace", "approves v3 for UAT, where it runs June to August") as outcome:
        stage.approved_by_grace(stage.cast.ada.promotions.request(stage.name, 3, Environment.UAT, reason="mean wind"))
        outcome.done(stage.run_well(Environment.UAT, SUMMER))
    with tell.scene("Grace", "approves v3 for production") as outcome:
        request = stage.cast.ada.promotions.request(stage.name, 3, Environment.PRODUCTION, reason="mean wind")
        before = stage.weigh()
        done, copied = stage.moved_only(lambda: stage.approved_by_grace(request), before)
        outcome.done(f"request {done.id} is done, v3 is production: {copied}")
        for move in moves(done):
            outcome.done(move)


def roll_back(stage: Stage, tell: Telling, first: Mapping[str, int | None]) -> None:
    """Code and data go back to v1, again by moving refs."""
    with tell.scene("Grace", "rolls production back, code and data: nobody downstream knows mean_wind") as outcome:
        environments, promotions = stage.cast.grace.environments, stage.cast.grace.promotions
        plan = environments.plan_rollback(stage.name, data=True)
        before = stage.weigh()

        def act() -> RequestDetail:
            request = environments.rollback(
                stage.name, reason="nobody downstream knows mean_wind", data=True, consent=plan.plan.digest
            )
            return promotions.show(request.id)

        done, copied = stage.moved_only(act, before)
        if stage.heads() != first:
            raise Astray(f"production should be at v1's {first}, but is at {stage.heads()}")
        outcome.done(f"with consent to undo {len(plan.undone)} publishes, v1 is production again: {copied}")
        for move in moves(done):
            outcome.done(f"{move}, v1's")
