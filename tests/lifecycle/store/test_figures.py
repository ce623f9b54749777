"""The lifecycle in numbers, on both databases."""

from __future__ import annotations

import pytest

from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.domain.run import Outcome
from lifecycle.usecases.holding import set_hold
from lifecycle.usecases.note_outcomes import note_outcomes
from tests.lifecycle.life import DAGSTER, QA, UAT, Life


def test_what_waits_runs_and_happened_is_counted_by_state_and_environment(life: Life) -> None:
    with life.store.read() as view:
        began = view.log.head().sequence
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    life.clock.advance(hours=1)
    life.begin(version, QA)
    asked = life.ask(version, UAT)
    life.clock.advance(minutes=5)
    life.dagster.outcomes["test-run-1"] = Outcome.FAILED
    note_outcomes(life.ctx, DAGSTER)
    with life.store.read() as view:
        (waiting,) = view.figures.requests()
        assert (waiting.state, waiting.environment, waiting.number, waiting.due) == ("requested", "uat", 1, 0)
        assert (view.now - waiting.oldest).total_seconds() == pytest.approx(300, abs=1)
        assert waiting.due_since is None
        (live,) = view.figures.live_runs()
        assert (live.environment, live.state, live.number) == ("qa", "running", 1)
        until = view.log.head().sequence
        events = view.figures.events(began, until)
        assert (events["version.saved"], events["admission.granted"], events["receipt.written"]) == (1, 2, 2)
        assert view.figures.events(until, until) == {}
        assert view.figures.outcomes(began, until) == {("qa", "failed"): 1}
        assert view.figures.drifts() == {}
        assert view.figures.undelivered() == (0, None)
    assert asked.state is State.REQUESTED


def test_an_approved_request_is_due_until_it_is_executed(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    asked = life.ask(version, UAT)
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, UAT, None, reason="quarter's end")
    assert life.approve(asked).state is State.APPROVED
    life.clock.advance(minutes=10)
    with life.store.read() as view:
        (waiting,) = view.figures.requests()
        assert waiting.environment == "uat"
        assert waiting.due == 1
        assert waiting.due_since is not None
        assert (view.now - waiting.due_since).total_seconds() == pytest.approx(600, abs=1)
        assert view.figures.holds() == {("freeze", "uat"): 1}
