"""The flights pipeline in several states at once, for a first look at the app: nothing is refused, much waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from drls_dagster.demo import versions
from drls_dagster.demo.cast import cast
from drls_dagster.demo.stage import JUNE, Stage
from drls_dagster.demo.telling import Telling
from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import State

if TYPE_CHECKING:
    from drls_dagster.settings import Settings
    from lifecycle.usecases.context import Context

SEEDED = "flights_tour"


def is_seeded(ctx: Context) -> bool:
    """Whether this store has, or had, the pipeline of an earlier seed."""
    with ctx.store.read() as view:
        return view.pipelines.find(SEEDED) is not None


def seed(
    settings: Settings,
    ctx: Context,
    token: str | None,
    example: Path,
    tell: Telling,
    prepare: Callable[[], None] = lambda: None,
) -> None:
    """v1 in production, v2 rejected, v3 in UAT and asked for in production, v4 in QA and asked for in UAT.

    The two requests wait for whoever owns `token`, an Admin; `prepare` brings the data and the engine. A pipeline
    that an interrupted seed left is not touched again. Raises Astray when something does not go as planned.
    """
    with cast(ctx, token, SEEDED) as players:
        stage = Stage(settings, players, SEEDED, (f"{SEEDED}.daily_delays", f"{SEEDED}.aircraft_use"))
        with tell.scene("Ada", f"saves {SEEDED} v1") as outcome:
            players.ada.pipelines.save(versions.first(example, SEEDED), message="delays per day, use of each aircraft")
            outcome.done("active in development")
        prepare()
        _release_the_first(stage, tell)
        _reject_the_second(stage, tell, example)
        _ask_for_the_third(stage, tell, example)
        _ask_for_the_fourth(stage, tell, example)


def _release_the_first(stage: Stage, tell: Telling) -> None:
    promotions = stage.cast.ada.promotions
    with tell.scene("Ada", "takes v1 to QA and UAT, Grace approves it for both, and it is production") as outcome:
        stage.to_qa(1)
        stage.run_well(Environment.QA, JUNE)
        stage.approved_by_grace(promotions.request(stage.name, 1, Environment.UAT, reason="first season"))
        stage.run_well(Environment.UAT, JUNE)
        stage.approved_by_grace(promotions.request(stage.name, 1, Environment.PRODUCTION, reason="first season"))
        outcome.done("v1 is active in production")


def _reject_the_second(stage: Stage, tell: Telling, example: Path) -> None:
    ada, grace = stage.cast.ada, stage.cast.grace
    with tell.scene("Ada", "requests v2 for UAT, and Grace rejects it") as outcome:
        ada.pipelines.save(versions.second(example, stage.name), message="mean wind; simpler joins")
        stage.to_qa(2)
        stage.run_well(Environment.QA, JUNE)
        asked = ada.promotions.request(stage.name, 2, Environment.UAT, reason="mean wind per day")
        ada.promotions.comment(
            asked.id, "The joins are now **inner**: `flights` and `weather` share every hour of June."
        )
        grace.promotions.reject(
            asked.id, asked.plan_digest, reason="July and August lack hours of weather, so their risks would be null"
        )
        outcome.done(f"request {asked.id} is rejected")


def _ask_for_the_third(stage: Stage, tell: Telling, example: Path) -> None:
    ada, grace = stage.cast.ada, stage.cast.grace
    with tell.scene("Ada", "takes v3 to UAT and requests production") as outcome:
        ada.pipelines.save(versions.third(example, stage.name), message="missing weather is calm")
        stage.to_qa(3)
        stage.run_well(Environment.QA, JUNE)
        stage.approved_by_grace(ada.promotions.request(stage.name, 3, Environment.UAT, reason="mean wind per day"))
        stage.run_well(Environment.UAT, JUNE)
        asked = ada.promotions.request(stage.name, 3, Environment.PRODUCTION, reason="mean wind per day")
        stage.expect(asked, State.REQUESTED)
        grace.promotions.comment(
            asked.id, "The summer is correct now. I would like a second pair of eyes before it goes live."
        )
        outcome.done(f"request {asked.id} is waiting for you")


def _ask_for_the_fourth(stage: Stage, tell: Telling, example: Path) -> None:
    ada = stage.cast.ada
    with tell.scene("Ada", "takes v4 to QA and requests UAT") as outcome:
        ada.pipelines.save(versions.fourth(example, stage.name), message="late means 20 minutes")
        stage.to_qa(4)
        stage.run_well(Environment.QA, JUNE)
        asked = ada.promotions.request(stage.name, 4, Environment.UAT, reason="the airport counts 20 minutes as late")
        stage.expect(asked, State.REQUESTED)
        outcome.done(f"request {asked.id} is waiting for you")
