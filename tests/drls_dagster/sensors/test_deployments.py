"""The deployments sensor: loaded ≠ deployed is put right, or told."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from drls_dagster.sensors.deployments import ANNOUNCED_AFTER, deployments_sensor
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import State
from lifecycle.errors import Refused
from lifecycle.spec import digest
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.loaded import DRAFT, loaded_digests, stuck_pipelines
from lifecycle.usecases.set_policy import set_policy
from tests.lifecycle.life import DEVELOPMENT, PRODUCTION, QA, UAT, Life, make_spec


class Ticks:
    def __init__(self, life: Life, loaded: dict[str, str], environment: Environment = QA, **more: Any) -> None:
        self.sensor = deployments_sensor(environment, loaded, lambda: life.ctx, **more)
        self.cursor: str | None = None

    def __call__(self) -> str:
        with dg.DagsterInstance.ephemeral() as instance:
            data = self.sensor.evaluate_tick(dg.build_sensor_context(instance, cursor=self.cursor))
        self.cursor = data.cursor if data.cursor is not None else self.cursor
        return data.skip_message or ""


@pytest.fixture
def loaded(life: Life) -> dict[str, str]:
    life.to_qa(life.save())
    life.dagster.changed.clear()
    return {"flights": digest(make_spec())}


def test_what_was_loaded_as_it_is_deployed_is_left_alone(life: Life, loaded: dict[str, str]) -> None:
    ticks = Ticks(life, loaded)
    assert [ticks(), ticks()] == ["the deployed versions are loaded"] * 2
    assert life.dagster.changed == []
    with life.store.read() as view:
        assert loaded_digests(view, QA) == loaded


def test_a_missed_push_is_caught(life: Life, loaded: dict[str, str]) -> None:
    ticks = Ticks(life, loaded)
    ticks()
    life.to_qa(life.save(make_spec(rows=2)))
    life.dagster.changed.clear()
    assert ticks() == "loaded ≠ deployed: flights; requested a reload"
    assert life.dagster.changed == [QA]


def test_l15_what_reloads_do_not_help_is_told_once_and_asked_for_ever_more_seldom(
    life: Life, loaded: dict[str, str]
) -> None:
    ticks = Ticks(life, {})
    get_stuck(ticks)
    for _ in range(16 - ANNOUNCED_AFTER):
        assert ticks().startswith("loaded ≠ deployed: flights")
    assert len(life.dagster.changed) == 5
    with life.store.read() as view:
        (told,) = view.log.search(verb="drift.loaded")
    assert told.subject == "location:qa"


def test_l15_what_reloads_do_not_help_blocks_promotion_until_it_is_loaded(life: Life, loaded: dict[str, str]) -> None:
    with life.store.read() as view:
        version = view.pipelines.numbered(view.pipelines.named("flights"), 1)
    life.run(version, QA)
    get_stuck(Ticks(life, {"flights": "sha256:0"}))
    with pytest.raises(Refused, match="the code location of QA has not loaded the deployed version of flights"):
        life.ask(version, UAT)
    assert Ticks(life, loaded)() == "the deployed versions are loaded"
    assert life.ask(version, UAT).state is State.REQUESTED


def test_l15_a_target_that_holds_another_version_blocks_and_one_that_holds_none_waits_for_the_next(life: Life) -> None:
    life.to_uat(life.save())
    second = life.save(make_spec(rows=2))
    life.to_qa(second)
    life.run(second, QA)
    get_stuck(Ticks(life, {"flights": "sha256:0"}, UAT))
    with pytest.raises(Refused, match="the code location of UAT has not loaded the deployed version"):
        life.ask(second, UAT)
    get_stuck(Ticks(life, {}, UAT))
    assert life.approve(life.ask(second, UAT)).state is State.DONE


def test_l15_what_gets_right_again_by_itself_is_noted(life: Life) -> None:
    """Another version is deployed: the very one that the location holds."""
    life.to_uat(life.save())
    second = life.save(make_spec(rows=2))
    ticks = Ticks(life, {"flights": second.digest}, UAT)
    get_stuck(ticks)
    break_glass(life.ctx, life.as_("lea"), "flights", 2, UAT, reason="a test")
    assert [ticks(), ticks()] == ["the deployed versions are loaded"] * 2
    with life.store.read() as view:
        assert stuck_pipelines(view, UAT) == frozenset()
        assert len(view.log.search(verb="drift.loaded_again")) == 1


def test_an_unsaved_file_in_its_authors_development_is_no_drift(life: Life) -> None:
    life.save()
    ticks = Ticks(life, {"flights": DRAFT}, DEVELOPMENT)
    assert ticks() == "the deployed versions are loaded"
    assert life.dagster.changed == [DEVELOPMENT]  # by saving


def test_a_policy_that_changes_what_schedules_do_is_pushed_and_a_missed_push_is_caught(life: Life) -> None:
    spec = make_spec(schedule={"cron": "0 6 * * *", "timezone": "UTC"})
    life.to_production(life.save(spec))
    ticks = Ticks(life, {"flights": digest(spec)}, PRODUCTION, scheduled=["flights"], starting=["flights"])
    assert ticks() == "the deployed versions are loaded"
    life.dagster.changed.clear()
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, "flights", Policy(schedules=False))
    assert life.dagster.changed == [PRODUCTION]
    assert ticks() == "loaded ≠ deployed: flights; requested a reload"
    again = Ticks(life, {"flights": digest(spec)}, PRODUCTION, scheduled=["flights"])
    assert again() == "the deployed versions are loaded"


def get_stuck(ticks: Ticks) -> None:
    for _ in range(ANNOUNCED_AFTER):
        assert ticks().startswith("loaded ≠ deployed: flights")
