"""D10: a column that QA or UAT has added to a shared table goes when the version that wanted it is withdrawn."""

from __future__ import annotations

import pytest

from lifecycle.domain.version import Version
from lifecycle.errors import Refused
from lifecycle.usecases.demote_version import demote_version
from lifecycle.usecases.parts.trial_columns import note_trial, trial_columns
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.start_run import finish_run
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec

TABLE = "flights.daily"


def adds(life: Life, version: Version, *columns: str, added: tuple[str, ...] = ("b",)) -> None:
    """A run in QA that adds columns to a table and publishes nothing."""
    run_id = life.begin(version, QA)
    given: dict[str, tuple[str, ...]] = {"added": added, "columns": columns or ("id", "B")}
    note_trial(life.ctx, DAGSTER, run_id, "flights", TABLE, **given)
    # As the next sink, or the next run, finds it.
    note_trial(life.ctx, DAGSTER, run_id, "flights", TABLE, added=(), columns=given["columns"])
    with life.store.read() as view:
        assert "b" in trial_columns(view)[TABLE]
    life.plane.say(f"columns:{TABLE}", ["b"])
    assert reconcile(life.ctx, SETUP).columns == (), "a run that goes on may still write it"
    finish_run(life.ctx, DAGSTER, run_id, "flights")


def told(life: Life, verb: str) -> list[dict[str, object]]:
    with life.store.read() as view:
        return [dict(one.body) for one in view.log.search(verb=verb)]


@pytest.fixture
def second(life: Life) -> Version:
    """flights v2 is in QA and has added a column; v1 is in production."""
    life.to_production(life.save())
    version = life.save(make_spec(rows=2))
    life.to_qa(version)
    adds(life, version)
    return version


def test_d10_it_stays_while_the_version_is_on_trial_and_goes_with_it(life: Life, second: Version) -> None:
    assert reconcile(life.ctx, SETUP).columns == ()
    life.to_qa(life.save(make_spec(rows=3)))
    assert reconcile(life.ctx, SETUP).columns == (f"{TABLE}.b",)
    assert reconcile(life.ctx, SETUP).columns == ()
    (added,), (removed,) = told(life, "columns.added"), told(life, "columns.removed")
    assert (added["columns"], added["version"], removed["columns"]) == (["b"], 2, ["b"])


def test_d10_it_goes_when_uat_gives_the_version_back(life: Life, second: Version) -> None:
    life.run(second, QA)
    life.approve(life.ask(second, UAT))
    life.to_qa(life.save(make_spec(rows=3)))
    assert reconcile(life.ctx, SETUP).columns == (), "it is in UAT"
    demote_version(life.ctx, life.as_("lea"), "flights", 2, reason="wrong")
    assert reconcile(life.ctx, SETUP).columns == (f"{TABLE}.b",)


def test_d10_what_came_to_production_is_the_tables_own(life: Life, second: Version) -> None:
    life.run(second, QA)
    life.approve(life.ask(second, UAT))
    life.run(second, UAT)
    life.approve(life.ask(second, PRODUCTION))
    life.to_qa(life.save(make_spec(rows=3)))
    demote_version(life.ctx, life.as_("lea"), "flights", 2, reason="makes room")
    assert reconcile(life.ctx, SETUP).columns == ()
    assert (len(told(life, "columns.released")), told(life, "columns.removed")) == (1, [])


def test_d10_a_version_that_writes_it_too_keeps_it(life: Life, second: Version) -> None:
    third = life.save(make_spec(rows=3))
    life.to_qa(third)
    adds(life, third, "id", "b", added=())
    assert reconcile(life.ctx, SETUP).columns == ()
    life.to_qa(life.save(make_spec(rows=4)))
    assert reconcile(life.ctx, SETUP).columns == (f"{TABLE}.b",)


def test_d10_production_values_are_never_hidden(life: Life, second: Version) -> None:
    life.plane.say(f"values:{TABLE}", ["b"])
    life.to_qa(life.save(make_spec(rows=3)))
    assert reconcile(life.ctx, SETUP).columns == ()
    (kept,) = told(life, "columns.removed")
    assert (kept["columns"], kept["kept"]) == ([], ["b"])


def test_d10_only_an_admitted_run_adds_columns(life: Life) -> None:
    life.to_qa(life.save())
    with pytest.raises(Refused, match="was not admitted"):
        note_trial(life.ctx, DAGSTER, "unheard", "flights", TABLE, added=["b"], columns=["b"])
