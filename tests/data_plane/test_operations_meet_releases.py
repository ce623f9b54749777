"""L12, L13, L15: a promotion or a rollback in the middle of each operation: no row is lost, and nothing is drift."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from drls_dagster.lakehouse.reachable import needed, normal
from drls_dagster.ledger import open_ledger
from drls_dagster.maintenance import compact, expire, keep, manifests, orphans, vacuum
from drls_dagster.maintenance.publishing import UnderPermit
from drls_dagster.maintenance.work import Work
from lifecycle.domain.operations import (
    CompactOptions,
    ExpireOptions,
    ManifestOptions,
    OrphanOptions,
    VacuumOptions,
)
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.rollback_release import plan_rollback, rollback_release
from tests.fakes.lake import LakePlane
from tests.lifecycle.life import DAGSTER, PRODUCTION, SETUP, UAT, Life, make_spec
from tests.table_operations import FileJournal

pytestmark = pytest.mark.slow
DAILY = "flights.daily"
EVERY = CompactOptions(all=True)
LAST = ExpireOptions(retain_last=1)
ORPHANS = OrphanOptions(dry_run=False, older_than=timedelta(days=3))
OPERATIONS: dict[str, Callable[[Work], object]] = {
    "compact": lambda work: compact.execute(work, EVERY),
    "rewrite manifests": lambda work: manifests.execute(work, ManifestOptions()),
    "expire": lambda work: expire.execute(work, LAST),
    "orphans": lambda work: orphans.execute(work, ORPHANS),
    "vacuum": lambda work: vacuum.execute(work, VacuumOptions(compact=EVERY, expire=LAST, orphans=ORPHANS)),
}


def approved(life: Life) -> Callable[[], None]:
    """The second version is approved for production; what promotes it."""
    version = life.save(make_spec(rows=2))
    life.to_uat(version)
    life.run(version, UAT)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="wait")
    asked = life.approve(life.ask(version, PRODUCTION))
    lift_hold(life.ctx, life.as_("lea"), hold.id)

    def promote() -> None:
        assert execute_promotion(life.ctx, SETUP, asked.id).promotion.state is State.DONE

    return promote


def replaced(life: Life) -> Callable[[], None]:
    """The second version is in production and has run there; what puts the first one back with its data."""
    version = life.save(make_spec(rows=2))
    life.to_production(version)
    life.run(version, PRODUCTION)
    life.run(version, PRODUCTION)

    def back() -> None:
        plan = plan_rollback(life.ctx, life.as_("lea"), "flights", data=True)
        consent = plan.plan.digest
        done = rollback_release(life.ctx, life.as_("lea"), "flights", reason="bad", data=True, consent=consent)
        assert done.state is State.DONE

    return back


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("release", [approved, replaced])
def test_l15_a_release_in_the_middle_of_an_operation_wins_and_every_row_is_there(
    life: Life, monkeypatch: pytest.MonkeyPatch, operation: str, release: Callable[[Life], Callable[[], None]]
) -> None:
    first = life.save()
    life.to_production(first)
    for _ in range(3):
        life.run(first, PRODUCTION)
    life.clock.advance(minutes=1)
    happens = release(life)
    monkeypatch.setattr(keep, "open_lifecycle", lambda _: life.ctx)
    lake = cast(LakePlane, cast(object, life.plane))
    catalog, commit = lake.catalog, lake.catalog.commit_table
    seen: list[Counter[str]] = []

    def rows() -> Counter[str]:
        return Counter(map(str, lake.rows(DAILY)))

    def meanwhile() -> None:
        """Once, before the first thing that the operation cannot take back."""
        if not seen:
            seen.append(Counter())  # what happens commits as well
            happens()
            seen[0] = rows()

    def commits(*given: Any) -> Any:
        meanwhile()
        return commit(*given)

    work = working(life, lake)
    note = work.journal.note
    if operation == "orphans":
        leave_an_orphan(lake)
        monkeypatch.setattr(work.journal, "note", lambda *given, **facts: (meanwhile(), note(*given, **facts))[1])
    else:
        monkeypatch.setattr(catalog, "commit_table", commits)
    OPERATIONS[operation](work)

    assert seen, "the operation did nothing"
    assert rows() == seen[0]
    assert sum(seen[0].values()) > 0
    assert reconcile(life.ctx, DAGSTER).drifts == ()
    with life.store.read() as view:
        assert view.runs.live_maintenance() == ()
    table = lake.lake_table(DAILY)
    assert [name for name in table.metadata.refs if name.startswith("drls-maintain")] == []
    wanted = {normal(path) for part in needed(table.io, table.metadata) for path in part}
    assert {path for path in wanted if not Path(path).exists()} == set()
    # And the operation itself was done, on what the release left.
    again = working(life, lake)
    if operation == "compact":
        assert len(table.inspect.data_files()) <= 2, "what was there before, and what the release brought"
    elif operation == "orphans":
        assert orphans.execute(again, ORPHANS).orphan_count == 0
    elif operation == "expire":
        assert not expire.plan(table, "main", LAST, again.keep).needed


def leave_an_orphan(lake: LakePlane) -> None:
    orphan = Path(normal(lake.lake_table(DAILY).location())) / "data" / "orphan.parquet"
    orphan.write_bytes(b"x")
    os.utime(orphan, (time.time() - 7 * 86_400,) * 2)


def working(life: Life, lake: LakePlane) -> Work:
    """Lea's operation on production's main, as the process of an operation sets it up."""
    table, actor = lake.lake_table(DAILY), life.as_("lea")
    journal = FileJournal(lake.settings.home / "journal")
    under = UnderPermit(life.ctx, actor, lake.catalog, journal, "flights", DAILY, "drls-maintain-1", lambda: None)
    kept = keep.keep_for(life.ctx, open_ledger(lake.settings), lake.catalog, table)
    return Work(lake.settings, lake.catalog, table, DAILY, "main", kept, journal, under, governed=True)
