"""Rounds over many items: what is broken for one is kept and shown for that one, and the others go ahead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.errors import NotFound, Unavailable
from lifecycle.ports import Message, Notifier, RunState
from lifecycle.usecases import tick as ticking
from lifecycle.usecases.deliver import deliver
from lifecycle.usecases.grant_permit import grant_permit
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.parts.rounds import Trouble, troubles
from lifecycle.usecases.parts.trial_columns import note_trial
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.start_run import finish_run
from lifecycle.usecases.tick import remind, tick
from tests.lifecycle.app.test_notifications import tell_to
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec


def kept(life: Life) -> list[tuple[str, str, str]]:
    with life.store.read() as view:
        return [(one.item, one.doing, one.kind) for one in troubles(view)]


def said(life: Life, verb: str) -> list[str]:
    with life.store.read() as view:
        return [entry.subject for entry in view.log.search(verb=verb)]


def breaks(
    life: Life, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception, *, on: Callable[..., bool]
) -> Callable[[], None]:
    """A call of the data plane or the orchestrator raises for some items; answers how to mend it."""
    port: Any = life.plane if hasattr(life.plane, name) else life.dagster
    real = getattr(port, name)

    def call(*given: Any) -> Any:
        if on(*given):
            raise error
        return real(*given)

    monkeypatch.setattr(port, name, call)
    return lambda: monkeypatch.setattr(port, name, real)


def asked_for_uat(life: Life, name: str) -> Any:
    version = life.save(make_spec(name))
    life.to_qa(version, name)
    life.run(version, QA, name)
    return life.ask(version, UAT, name=name)


def asked_for_production(life: Life) -> Any:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    return life.ask(version, PRODUCTION)


def is_of_flights(table: str, *_: Any) -> bool:
    return table.startswith("flights.")


def test_a_request_whose_table_is_gone_stops_no_other_request(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 16; failed on 0.1.0: nothing was executed, expired or told as long as the table was gone."""
    flights = asked_for_production(life)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, UAT, None, reason="audit")
    trips = life.approve(asked_for_uat(life, "trips"))
    late = asked_for_uat(life, "late")
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    with life.store.read() as view:
        late_over = view.promotions.get(late.id).expires_at
    assert trips.state is State.APPROVED
    breaks(life, monkeypatch, "pin", NotFound("flights.daily no longer has snapshot 1"), on=is_of_flights)

    done = tick(life.ctx, SETUP)

    assert done.executed == (trips.id,)
    expected = (f"promotion:{flights.id}", "pinning its candidates", "refusal")
    assert [(one.item, one.doing, one.kind) for one in done.troubles] == [expected]
    assert str(done.troubles[0]) == (
        f"promotion {flights.id}: pinning its candidates failed: flights.daily no longer has snapshot 1"
    )
    assert done.troubles[0].pipeline == "flights"
    life.clock.advance(seconds=(late_over - life.clock.now()).total_seconds() + 1)
    assert late.id in tick(life.ctx, SETUP).expired


def test_an_error_that_no_store_can_write_stops_no_other_request(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 16; half a character, as in the name of a file, ended the round for all with CanonicalizationError."""
    flights = asked_for_production(life)
    breaks(life, monkeypatch, "pin", NotFound("\udcff.parquet and a\x00b are gone"), on=is_of_flights)
    (trouble,) = tick(life.ctx, SETUP).troubles
    assert trouble.item == f"promotion:{flights.id}"
    assert "\\udcff.parquet" in trouble.error
    assert kept(life) == [(f"promotion:{flights.id}", "pinning its candidates", "refusal")]


def test_what_failed_is_noted_once_and_is_over_when_it_works_again(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 16."""
    asked = asked_for_production(life)
    item = f"promotion:{asked.id}"
    ports = iter(range(40_000, 50_000))

    class Moving(Unavailable):
        @property
        def message(self) -> str:
            return f"127.0.0.1:{next(ports)} does not answer"

    mend = breaks(life, monkeypatch, "pin", Moving(), on=is_of_flights)
    for _ in range(3):
        tick(life.ctx, SETUP)
    assert kept(life) == [(item, "pinning its candidates", "outage")]
    assert (said(life, "trouble.found"), said(life, "trouble.over")) == ([item], [])
    mend()
    tick(life.ctx, SETUP)
    assert (kept(life), said(life, "trouble.over")) == ([], [item])


def test_a_request_that_cannot_be_unpinned_is_over_all_the_same(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 16: the tags of a request that expired are taken away by a later round."""
    asked = asked_for_production(life)
    other = asked_for_uat(life, "trips")
    life.clock.advance(days=8)
    mend = breaks(life, monkeypatch, "unpin", Unavailable("the catalog is down"), on=is_of_flights)
    done = tick(life.ctx, SETUP)
    assert sorted(done.expired) == sorted((asked.id, other.id))
    assert [one.item for one in done.troubles] == [f"promotion:{asked.id}"]
    assert life.plane.tags("flights.daily").keys() >= {f"drls-candidate-{asked.id}"}
    mend()
    assert tick(life.ctx, SETUP).troubles == ()
    assert f"drls-candidate-{asked.id}" not in life.plane.tags("flights.daily")


def test_a_reminder_that_cannot_be_written_holds_up_no_other(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 16; failed on 0.1.0: all reminders were one transaction."""
    tell_to(life, "http://127.0.0.1:9/dead", events=("promotion.reminder",))
    first, second = asked_for_uat(life, "flights"), asked_for_uat(life, "trips")
    life.clock.advance(days=2)
    real = ticking.tell

    def tell(unit: Any, event: str, pipeline: str, **body: Any) -> None:
        if body.get("promotion") == first.id:
            raise KeyError("receivers")
        real(unit, event, pipeline, **body)

    monkeypatch.setattr(ticking, "tell", tell)
    assert remind(life.ctx, SETUP) == 1
    assert kept(life) == [(f"promotion:{first.id}", "reminding of it", "failure")]
    monkeypatch.setattr(ticking, "tell", real)
    assert remind(life.ctx, SETUP) == 1
    assert (kept(life), sorted(said(life, "promotion.reminded"))) == (
        [],
        [f"promotion:{first.id}", f"promotion:{second.id}"],
    )


def test_a_defect_in_a_message_shows_as_one_and_the_other_messages_go_out(life: Life) -> None:
    """Findings 16 and 18; on 0.1.0 a defect looked like a receiver that does not answer."""
    tell_to(life, "http://127.0.0.1:9/one", "http://127.0.0.1:9/two", events=("promotion.requested",))
    asked_for_uat(life, "flights")
    sent: list[str] = []

    class Broken(Notifier):
        def deliver(self, message: Message) -> None:
            if message.receiver.endswith("one"):
                raise TypeError("'NoneType' object is not subscriptable")
            sent.append(message.receiver)

    done = deliver(life.ctx, SETUP, Broken())
    assert sent
    assert done.postponed == 1
    assert [(doing, kind) for _, doing, kind in kept(life)] == [("sending it to http://127.0.0.1:9/one", "failure")]
    with life.store.read() as view:
        assert "a bug in DRLS (TypeError" in troubles(view)[0].error


def test_l15_a_table_that_cannot_be_looked_at_hides_no_drift_of_another(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 16; failed on 0.1.0: reconcile ended at the first table that failed."""
    for name in ("flights", "trips"):
        version = life.save(make_spec(name))
        life.to_qa(version, name)
        life.run(version, QA, name)
        life.plane.commit(f"{name}.daily", "qa")
    breaks(life, monkeypatch, "table", Unavailable("flights.daily: the bucket is down"), on=is_of_flights)
    found = reconcile(life.ctx, SETUP)
    assert [one.table_name for one in found.drifts] == ["trips.daily"]
    assert {one.item for one in found.troubles} == {"table:flights.daily", "table:flights.late"}


def test_l11_a_run_that_cannot_be_asked_about_keeps_no_other_run_open(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 16; failed on 0.1.0."""
    runs: dict[str, str] = {}
    for name in ("flights", "trips"):
        version = life.save(make_spec(name))
        life.to_qa(version, name)
        runs[name] = life.begin(version, QA, name)
        life.dagster.states[runs[name]] = RunState.ENDED
    breaks(life, monkeypatch, "run_state", OSError("no route to host"), on=lambda run_id: run_id == runs["flights"])
    found = reconcile(life.ctx, SETUP)
    assert found.runs == (runs["trips"],)
    assert [(one.item, one.kind) for one in found.troubles] == [(f"run:{runs['flights']}", "outage")]


def test_l11_a_permit_that_cannot_be_settled_leaves_no_other_unsettled(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 16; failed on 0.1.0."""
    for name in ("flights", "trips"):
        version = life.save(make_spec(name))
        life.to_qa(version, name)
        asked = life.publishing(life.begin(version, QA, name), f"{name}.daily", QA)
        grant_permit(life.ctx, DAGSTER, asked)
        life.plane.publish(asked.table, asked.ref, asked.base, asked.candidate)
    life.clock.advance(minutes=9)
    breaks(life, monkeypatch, "snapshots", NotFound("flights.daily is gone"), on=is_of_flights)
    found = reconcile(life.ctx, SETUP)
    with life.store.read() as view:
        assert [one.table_name for one in view.runs.live_permits()] == ["flights.daily"]
    assert ("permit:1", "settling it for flights.daily") in {(one.item, one.doing) for one in found.troubles}


def test_d10_columns_of_one_table_that_fails_keep_no_other_tables_columns(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 16; failed on 0.1.0."""
    for name in ("flights", "trips"):
        version = life.save(make_spec(name))
        life.to_qa(version, name)
        run_id = life.begin(version, QA, name)
        note_trial(life.ctx, DAGSTER, run_id, name, f"{name}.daily", added=["new"], columns=["new"])
        life.plane.say(f"columns:{name}.daily", ["new"])
        finish_run(life.ctx, DAGSTER, run_id, name)
        life.to_qa(life.save(make_spec(name, rows=2)), name)
    breaks(life, monkeypatch, "drop_columns", Unavailable("no answer"), on=is_of_flights)
    found = reconcile(life.ctx, SETUP)
    assert found.columns == ("trips.daily.new",)
    assert ("table:flights.daily", "removing columns of withdrawn versions") in {
        (one.item, one.doing) for one in found.troubles
    }


def test_a_trouble_reads_as_a_line() -> None:
    line = Trouble(item="table:flights.daily", doing="looking for drift in QA", error="no answer", kind="outage")
    assert str(line) == "table flights.daily: looking for drift in QA failed: no answer"
