"""kill -9 at each step of a promotion of ten tables: resuming ends in all or nothing (L12)."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy import event

from drls_dagster.lakehouse import catalog
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import load_settings
from lifecycle.audit.keys import SigningKey
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import Promotion, State
from lifecycle.store.store import Store
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.tick import tick
from tests.fakes.clock import FakeClock
from tests.fakes.lake import LakePlane
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import PRODUCTION, SETUP, UAT, Life, make_spec

TABLES = tuple(f"flights.t{number}" for number in range(10))


class World:
    """An approved request over ten tables, put back before each try at the same place: metadata has whole paths."""

    def __init__(self, folder: Path, template: Path, key: SigningKey) -> None:
        self._folder, self._kept, self._key = folder, folder.with_name("kept"), key
        folder.mkdir()
        shutil.copy(template, folder / "lifecycle.db")
        self.now = FakeClock().now()
        life = self.enter()
        # One table has a release already, nine are first ones: their base is null.
        life.plane.commit(TABLES[0])
        version = life.save(make_spec(tables=TABLES))
        life.to_uat(version)
        life.run(version, UAT)
        hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="wait")
        self.asked: Promotion = life.approve(life.ask(version, PRODUCTION))
        lift_hold(life.ctx, life.as_("lea"), hold.id)
        self.now = life.clock.now()
        life.store.close()
        shutil.copytree(folder, self._kept)

    def restore(self) -> None:
        # This process has the old files open.
        load_catalog(load_settings(self._folder / "home")).close()
        catalog._load.cache_clear()
        shutil.rmtree(self._folder)
        shutil.copytree(self._kept, self._folder)

    def enter(self) -> Life:
        clock = FakeClock(self.now)
        store = Store.open(f"sqlite:///{self._folder / 'lifecycle.db'}", self._key, clock)
        plane = LakePlane(load_settings(self._folder / "home"))
        return Life(store, self._folder, clock, plane=cast(FakePlane, plane))

    def killed_at(self, step: int) -> bool:
        """Promotes in a process that ends by SIGKILL at its n-th step; False when it was done before."""
        child = os.fork()
        if child == 0:
            try:
                self._die_at(step)
                life = self.enter()
                event.listen(life.store.engine, "commit", lambda *_: self._step())
                execute_promotion(life.ctx, SETUP, self.asked.id)
                os._exit(0)
            except BaseException:  # noqa: BLE001 (the child must end here)
                import traceback

                traceback.print_exc()
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)

    def _die_at(self, step: int) -> None:
        """Steps are: each commit of the store, each metadata file written, each commit of the catalog done."""
        self._left = step
        for name in ("_write_metadata", "commit_table"):
            whole = getattr(SqlCatalog, name)

            def counted(*given: Any, whole: Any = whole, **more: Any) -> Any:
                answer = whole(*given, **more)
                self._step()
                return answer

            setattr(SqlCatalog, name, staticmethod(counted) if name == "_write_metadata" else counted)

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, lifecycle_template: Path, signing_key: SigningKey
) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patched:
        folder = tmp_path_factory.mktemp("l12") / "world"
        patched.setenv("DRLS_HOME", str(folder / "home"))
        yield World(folder, lifecycle_template, signing_key)


def heads(life: Life) -> list[int | None]:
    return [life.plane.head(table, "main") for table in TABLES]


@pytest.mark.slow
def test_l12_kill_9_at_each_step_and_resume_ends_in_all(world: World) -> None:
    candidates = [table.candidate for table in world.asked.plan.tables]
    step = 1
    while True:
        world.restore()
        was_killed = world.killed_at(step)
        life = world.enter()
        life.clock.advance(minutes=9)
        done = execute_promotion(life.ctx, SETUP, world.asked.id).promotion
        assert (done.state, done.outcome) == (State.DONE, ""), f"killed at step {step}"
        assert heads(life) == candidates
        tick(life.ctx, SETUP)  # takes the request's own tags away, should that have been interrupted
        tag = f"drls-release-{done.id}"
        assert [life.plane.tags(table) for table in TABLES] == [{tag: one} for one in candidates]
        life.store.close()
        if not was_killed:
            break
        step += 1
    assert step > 30, "ten moves of three steps each"


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3, 8, 17, 26, 35, 44, 53])
def test_l12_kill_9_and_another_write_before_the_resume_ends_in_nothing_or_all(world: World, step: int) -> None:
    """The last table is written by others meanwhile: unless it was moved before, everything goes back."""
    world.restore()
    assert world.killed_at(step)
    life = world.enter()
    life.clock.advance(minutes=9)
    before = [table.base for table in world.asked.plan.tables]
    candidates = [table.candidate for table in world.asked.plan.tables]
    moved = life.plane.head(TABLES[-1], "main") == candidates[-1]
    theirs = life.plane.commit(TABLES[-1])
    done = execute_promotion(life.ctx, SETUP, world.asked.id).promotion
    if moved:
        assert (done.state, heads(life)) == (State.DONE, [*candidates[:-1], theirs])
    else:
        assert (done.state, heads(life)) == (State.STALE, [*before[:-1], theirs])
        assert f"tables[{TABLES[-1]}].base" in done.outcome
        assert [life.plane.tags(table) for table in TABLES] == [{}] * len(TABLES)
        assert life.active(PRODUCTION) is None
    life.store.close()
