"""How often a promotion loads its tables, whatever their size, and what it takes from which look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from drls_dagster.lakehouse import data_plane
from drls_dagster.settings import load_settings
from lifecycle.domain.promotion import State
from lifecycle.domain.seal import Altered
from tests.counting_catalog import CountingCatalog
from tests.fakes.lake import LakePlane
from tests.lifecycle.life import PRODUCTION, UAT, Life, make_spec

SNAPSHOTS = {"flights.large": 12, "flights.small": 1}


class Interrupted(LakePlane):
    """Others act right after files were looked at."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.acts: list[Callable[[], object]] = []

    def altered(self, *given: Any, **named: Any) -> Sequence[Altered]:
        found = super().altered(*given, **named)
        while self.acts:
            self.acts.pop()()
        return found


@pytest.fixture
def lake(drls_home: Path) -> Interrupted:
    plane = Interrupted(load_settings(drls_home))
    plane.catalog.create_namespace_if_not_exists("flights")
    return plane


def test_l12_l17_a_promotion_loads_each_table_four_times_whatever_its_size(
    life: Life, lake: Interrupted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For its files, for its plan, right before its ref moves, and to unpin it; it was ten times."""
    for table, snapshots in SNAPSHOTS.items():
        for _ in range(snapshots):
            lake.commit(table)
    version = life.save(make_spec(tables=tuple(SNAPSHOTS)))
    life.to_uat(version)
    life.run(version, UAT)
    asked = life.ask(version, PRODUCTION)
    catalog = CountingCatalog(lake.catalog)
    monkeypatch.setattr(data_plane, "load_catalog", lambda _: catalog)
    assert life.approve(asked).state is State.DONE
    catalog.close()
    assert catalog.loads == {"small": 4, "large": 4, "flights": 1}
    assert catalog.in_commits == {"small": 2, "large": 2}, "moved, and unpinned"


def test_l12_what_moved_while_files_were_looked_at_is_found_before_any_ref_moves(life: Life, lake: Interrupted) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    asked = life.ask(version, PRODUCTION)
    daily, late = (table.table for table in asked.plan.tables)
    lake.acts.append(lambda: lake.commit(late))
    done = life.approve(asked)
    assert done.state is State.STALE
    assert f"tables[{late}].base" in done.outcome
    with life.store.read() as view:
        assert view.promotions.journal(asked.id) == {}
    assert lake.head(daily, "main") is None


def test_one_look_sees_a_table_as_it_was_first_found_and_changes_what_it_is_now(lake: Interrupted) -> None:
    look = lake.one_look()
    assert look.table("flights.new", PRODUCTION).head is None
    first = lake.commit("flights.t")
    assert look.table("flights.t", PRODUCTION).head == first
    second = lake.commit("flights.t")
    lake.commit("flights.new")
    assert look.table("flights.new", PRODUCTION).head is None
    assert look.table("flights.t", PRODUCTION).head == first
    look.pin("flights.t", PRODUCTION, second, "kept")
    assert lake.tags("flights.t") == {"kept": second}
    assert lake.one_look().table("flights.t", PRODUCTION).head == second
