"""Many pipelines at once, on both databases."""

from __future__ import annotations

from lifecycle.domain.promotion import State
from lifecycle.domain.run import AdmissionState
from lifecycle.usecases.catalog import Search, catalog, facts_of
from tests.lifecycle.life import DEVELOPMENT, QA, UAT, Life, make_spec


def test_an_overview_tells_what_is_active_asked_for_run_and_how_fresh(life: Life) -> None:
    first = life.save(make_spec(tags={"domain": "air"}))
    life.to_qa(first)
    life.run(first, QA)
    life.clock.advance(hours=1)
    life.begin(first, QA)
    asked = life.ask(first, UAT)
    newest = life.save(make_spec(rows=2, tags={"domain": "air"}), by="eve")
    life.save(make_spec("sales"))
    with life.store.read() as view:
        heads = view.overview.heads()
        ids = [head.id for head in heads]
        assert [(head.name, head.number) for head in heads] == [("flights", 2), ("sales", 1)]
        flights = ids[0]
        live = view.overview.live(ids)[flights]
        assert {where: one.number for where, one in live.items()} == {DEVELOPMENT: 2, QA: 1}
        assert view.overview.active_in(QA) == {flights}
        assert view.overview.saved([newest.digest])[newest.digest][1] == "eve"
        run = view.overview.last_runs(ids)[flights, QA]
        assert (run.state, run.tables, run.published) == (AdmissionState.RUNNING, 2, 0)
        assert [one.published for one in view.overview.runs(flights, limit=5)] == [0, 2]
        assert view.overview.fresh(ids)[flights, QA] < view.now
        (one,) = view.overview.asked(ids)
        assert (one.id, one.state, one.number, one.target) == (asked.id, State.REQUESTED, 1, UAT)
        assert view.overview.drifts(ids) == {}
        assert [head.name for head in catalog(view, life.as_("vic"), Search(tag="domain=air"))] == ["flights"]
        assert facts_of(view, [newest.digest])[newest.digest].tags == {"domain": "air"}
