"""How often one promotion opens the lifecycle's database, through the command line and in the promotions sensor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Connection, Engine, event

from drls_dagster.cli.main import run
from drls_dagster.lakehouse.data_plane import IcebergDataPlane
from drls_dagster.lifecycle_client import Adapters
from drls_dagster.lifecycle_client.gateway import open_lifecycle
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.orchestrator import DagsterOrchestrator
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.sensors.promotions import carry_on
from drls_dagster.settings import Settings, load_settings
from lifecycle.audit import load_signing_key
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import Promotion, State
from lifecycle.store.store import Store
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.tokens import issue_token
from tests.fakes.clock import FakeClock
from tests.fakes.lake import LakePlane
from tests.fakes.passwords import CHEAP
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import PRODUCTION, UAT, Life, make_spec


class Openings:
    """The engines that used the store's file, told by SQLAlchemy's own event."""

    def __init__(self, settings: Settings) -> None:
        self._file = str(settings.home / "lifecycle.db")
        self._engines: list[Engine] = []

    def __len__(self) -> int:
        return len(self._engines)

    @contextmanager
    def counted(self) -> Iterator[Openings]:
        def connected(conn: Connection) -> None:
            if conn.engine.url.database == self._file and conn.engine not in self._engines:
                self._engines.append(conn.engine)

        event.listen(Engine, "engine_connect", connected)
        try:
            yield self
        finally:
            event.remove(Engine, "engine_connect", connected)


class Home:
    """A home with real tables and a real Dagster; everybody's clock is the same."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        key = load_signing_key(signing_key_file(settings))
        self.clock = FakeClock(datetime.now(UTC))  # the sensor's gateway has the machine's
        store = Store.create(store_url(settings), key, self.clock)
        self.life = Life(store, settings.home, self.clock, plane=cast(FakePlane, LakePlane(settings)))
        instance_of(settings)

    def asked(self, rows: int) -> Promotion:
        """A request to carry another version's data to production."""
        version = self.life.save(make_spec(rows=rows))
        self.life.to_uat(version)
        self.life.run(version, UAT)
        return self.life.ask(version, PRODUCTION)

    def token(self, name: str) -> str:
        every = tuple(TokenScope)
        actor = self.life.as_(name)
        return issue_token(self.life.ctx, actor, "test", scopes=every, life=timedelta(days=9), within=every).secret

    def adapters(self) -> Adapters:
        """As a process of this home has them, with the test's clock."""
        plane, dagster = IcebergDataPlane(self.settings), DagsterOrchestrator(self.settings)
        return Adapters(plane, dagster, self.clock, CHEAP)


@pytest.fixture
def home(drls_home: Path) -> Iterator[Home]:
    made = Home(load_settings(drls_home))
    yield made
    made.life.store.close()


def test_a_promotion_through_the_command_line_opens_the_store_once(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = home.asked(1)
    monkeypatch.setenv("DRLS_TOKEN", home.token("lea"))
    with Openings(home.settings).counted() as opened:
        code = run(["approvals", "approve", str(asked.id), "--plan", asked.plan_digest], home.adapters())
    assert code == 0, capsys.readouterr().err
    assert home.life.promotion(asked.id).state is State.DONE
    assert len(opened) == 1, "the process's own"


def test_a_promotion_in_the_sensor_uses_the_engine_of_its_process_alone(home: Home) -> None:
    engines: list[int] = []
    for rows in (1, 2):
        asked = home.asked(rows)
        lea = home.life.as_("lea")
        hold = set_hold(home.life.ctx, lea, HoldKind.FREEZE, PRODUCTION, None, reason="wait")
        assert home.life.approve(asked).state is State.APPROVED
        lift_hold(home.life.ctx, lea, hold.id)
        with Openings(home.settings).counted() as opened:
            assert carry_on(open_lifecycle(home.settings)) == "executed 1"
        assert home.life.promotion(asked.id).state is State.DONE
        engines.append(len(opened))
    open_lifecycle(home.settings).store.close()
    assert engines == [1, 1], "the process's own, in each round"
