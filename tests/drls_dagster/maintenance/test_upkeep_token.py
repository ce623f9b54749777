"""A maintenance run below a run service: its token, and what it can ask over the socket with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from drls_dagster.gate.tokens import token_for
from drls_dagster.maintenance.rounds import Keeper, act
from drls_dagster.runs.address import UNIX, URL_VARIABLE
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.remote import Remote
from drls_dagster.runs.service import RunService
from drls_dagster.runs.token import read_token
from drls_dagster.settings import Settings
from drls_dagster.tags import MAINTENANCE, MAINTENANCE_TAG
from lifecycle.domain.environment import Environment
from lifecycle.errors import Refused, Unauthorized
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.drls_dagster.runs.conftest import serving
from tests.fakes.instant_maintenance import InstantMaintenance
from tests.iceberg_tables import make_table
from tests.lifecycle.life import SETUP, Life


@dg.op(tags={MAINTENANCE_TAG: "qa"})
def look_after() -> None: ...


@dg.op
def something_else() -> None: ...


@dg.job
def upkeep() -> None:
    look_after()


@dg.job
def mixed() -> None:
    look_after()
    something_else()


def test_a_maintenance_run_does_its_round_over_the_socket_with_a_token_for_nothing_else(
    life: Life, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    properties = {"drls.maintenance.compact": "auto", "drls.maintenance.below": "100"}
    make_table("lab__qa.small", *[{"x": [number]} for number in range(7)], properties=properties)
    with life.store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    place = tmp_path / "s"
    monkeypatch.setenv(URL_VARIABLE, f"{UNIX}{place}")
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(upkeep)
        given = token_for(instance, run, settings)
        assert token_for(instance, instance.create_run_for_job(mixed), settings) is None
    assert given is not None
    bound = read_token(life.ctx, given.token.text)
    assert [(one.pipeline, one.environment) for one in bound.parts] == [(MAINTENANCE, Environment.QA)]
    ctx = replace(life.ctx, maintenance=InstantMaintenance(settings))
    with serving(RunService(settings, lifecycle=lambda: ctx), place):
        way = Remote(given.url, given.token)
        client = RunClient(way, MAINTENANCE, Environment.QA)
        (visit,) = act(Keeper(client.begin, client.follow, client.stop), client.look_at_tables([]))
        assert visit.done.startswith("compact (1): 2 files rewritten as 1"), visit.done
        assert client.follow(1).state.is_over
        assert client.look_at_table("lab.small") is not None
        assert client.look_at_table("lab.none") is None
        with pytest.raises(Refused, match="does not allow it"):
            client.begin("lab__qa.small", visit.policy.rules[2].operation)
        with pytest.raises(Unauthorized, match="load_table is not for runs of Maintenance"):
            client.load_table(("lab__qa", "small"))
        way.close()
