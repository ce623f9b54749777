"""The deployments sensor: loaded ≠ deployed is put right, or told."""

from __future__ import annotations

import dagster as dg
import pytest

from drls_dagster.lifecycle_client.loaded import loaded_digests
from drls_dagster.sensors.deployments import ANNOUNCED_AFTER, deployments_sensor
from lifecycle.spec import digest
from tests.lifecycle.life import QA, Life, make_spec


class Ticks:
    def __init__(self, life: Life, loaded: dict[str, str]) -> None:
        self.sensor = deployments_sensor("qa", loaded, lambda: life.ctx)
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
    assert [ticks(), ticks()] == ["what is deployed is loaded"] * 2
    assert life.dagster.changed == []
    with life.store.read() as view:
        assert loaded_digests(view, QA) == loaded


def test_a_missed_push_is_caught(life: Life, loaded: dict[str, str]) -> None:
    ticks = Ticks(life, loaded)
    ticks()
    life.to_qa(life.save(make_spec(rows=2)))
    life.dagster.changed.clear()
    assert ticks() == "loaded ≠ deployed: flights; asked for a reload"
    assert life.dagster.changed == [QA]


def test_l15_what_reloads_do_not_help_is_told_once_and_asked_for_ever_more_seldom(
    life: Life, loaded: dict[str, str]
) -> None:
    ticks = Ticks(life, {})
    for _ in range(16):
        assert ticks().startswith("loaded ≠ deployed: flights")
    assert len(life.dagster.changed) == 5
    assert ANNOUNCED_AFTER < 16
    with life.store.read() as view:
        (told,) = view.log.search(verb="drift.loaded")
    assert told.subject == "location:qa"
