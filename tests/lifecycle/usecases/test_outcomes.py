"""How a run ended, and what was production at a past time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifecycle.domain.run import Outcome
from lifecycle.errors import Refused
from lifecycle.ports import RunState
from lifecycle.usecases.note_outcomes import note_outcomes
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.start_run import finish_run
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec


def test_what_was_production_at_a_past_time(life: Life) -> None:
    life.to_production(life.save())
    then = life.clock.now()
    life.clock.advance(days=1)
    life.to_production(life.save(make_spec(rows=2)))
    with life.store.read() as view:
        assert [view.pipelines.version(one.version_id).number for one in view.deployments.of(PRODUCTION, then)] == [1]
        assert view.deployments.of(PRODUCTION, then - timedelta(days=9)) == ()


def test_l14_how_a_run_ended_is_noted_once_and_is_nobodys_evidence(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)

    def outcome() -> Outcome | None:
        with life.store.read() as view:
            found = view.runs.admission(run_id, view.pipelines.named("flights").id)
            assert found is not None
            return found.outcome

    life.dagster.outcomes[run_id] = Outcome.SUCCEEDED
    assert note_outcomes(life.ctx, SETUP) == (), "it is not over"
    life.dagster.outcomes.clear()
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    reconcile(life.ctx, SETUP)
    assert outcome() is None, "nobody knows"
    life.dagster.outcomes[run_id] = Outcome.SUCCEEDED
    reconcile(life.ctx, SETUP)
    assert outcome() is Outcome.SUCCEEDED
    life.dagster.outcomes[run_id] = Outcome.FAILED
    assert note_outcomes(life.ctx, SETUP) == ()
    assert outcome() is Outcome.SUCCEEDED
    with pytest.raises(Refused, match="nothing was published"):
        life.ask(version, UAT)


def test_who_forgot_how_a_run_ended_is_asked_for_a_day(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    life.clock.advance(hours=25)
    life.dagster.outcomes[run_id] = Outcome.FAILED
    assert note_outcomes(life.ctx, SETUP) == ()


def test_two_who_note_the_same_outcome_at_once_say_it_once(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    whole = life.dagster.run_outcome

    def while_another_notes_it(run: str) -> Outcome | None:
        monkeypatch.setattr(life.dagster, "run_outcome", whole)
        assert note_outcomes(life.ctx, DAGSTER) == (run_id,)
        return whole(run)

    life.dagster.outcomes[run_id] = Outcome.SUCCEEDED
    monkeypatch.setattr(life.dagster, "run_outcome", while_another_notes_it)
    assert note_outcomes(life.ctx, SETUP) == ()
    with life.store.read() as view:
        assert [one.verb for one in view.log.entries()].count("admission.outcome") == 1


def test_a_run_that_ended_silently_has_an_outcome_too(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)
    life.dagster.states[run_id], life.dagster.outcomes[run_id] = RunState.ENDED, Outcome.CANCELLED
    reconcile(life.ctx, SETUP)
    with life.store.read() as view:
        (run,) = view.overview.runs(version.pipeline_id, limit=5)
    assert (run.outcome, run.published) == (Outcome.CANCELLED, 0)


def test_l10_runs_that_ended_silently_are_closed(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)
    life.dagster.states[run_id] = RunState.ENDED
    assert reconcile(life.ctx, SETUP).runs == (run_id,)
    assert life.run(version, QA)
