"""`drls up --seed-demo`: the flights example in several states, and two requests that wait for the Admin."""

from __future__ import annotations

import pytest

from drls_dagster.cli.lifecycle import kept_token, welcome
from drls_dagster.cli.up import _seed
from drls_dagster.demo import SEEDED
from drls_dagster.lifecycle_client.gateway import connected_adapters
from drls_dagster.lifecycle_client.opening import open_context
from drls_dagster.settings import Settings
from drls_dagster.up.layout import MARK
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import WayIn
from lifecycle.domain.promotion import State
from lifecycle.usecases.authenticate import authenticate
from lifecycle.usecases.pending import pending_for


@pytest.mark.timeout(600)
def test_the_first_look_has_every_state_and_comes_once(
    engine: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRLS_HOME", str(engine.home))
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv(MARK, "")
    ctx = open_context(engine, connected_adapters(engine), lambda started: welcome(engine, started))
    try:
        _seed(ctx, engine, "test-up")
        admin = authenticate(ctx, kept_token(engine) or "", WayIn.CLI).actor
        with ctx.store.read() as view:
            pipeline = view.pipelines.named(SEEDED)
            active = view.deployments.active_numbers([pipeline.id])[pipeline.id]
            requests = view.promotions.list(pipeline_id=pipeline.id)
            waiting = [one for one in pending_for(view, admin) if one.pipeline_id == pipeline.id]
        assert active == dict(zip(Environment, (4, 4, 3, 1), strict=True))
        assert {State.DONE, State.REJECTED, State.REQUESTED} == {one.state for one in requests}
        assert [one.target for one in waiting] == [Environment.PRODUCTION, Environment.UAT]
        capsys.readouterr()
        _seed(ctx, engine, "test-up")
        assert "is there already" in capsys.readouterr().out
    finally:
        ctx.store.close()
