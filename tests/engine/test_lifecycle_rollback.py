"""L13, L15, D12: production goes back, with its data or without, and what was written past DRLS is found."""

from __future__ import annotations

from typing import Any

import pytest
from lab import iceberg, sink, sql
from lifecycle_lab import PRODUCTION, SETUP, UAT, LifecycleLab

from drls_dagster.lakehouse.data_plane import IcebergDataPlane
from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import State
from lifecycle.errors import Conflict, Refused
from lifecycle.ports import Move, MoveResult
from lifecycle.usecases.reconcile import reconcile


def version(life: LifecycleLab, text: str) -> int:
    return life.save(
        iceberg("raw", life.named("feed"), "incremental"),
        sql("shaped", f"SELECT id, '{text}' AS by FROM raw"),
        sink("out", life.named("out")),
        flow="raw>shaped>out",
    )


@pytest.mark.slow
def test_l13_data_goes_back_only_with_consent_to_what_is_listed_and_code_alone_leaves_it(life: LifecycleLab) -> None:
    life.create("feed", id="long")
    life.append("feed", (1,))
    one = version(life, "v1")
    life.deploy(one, UAT, PRODUCTION)
    life.works(PRODUCTION)
    with pytest.raises(Refused, match="has no earlier release in production"):
        life.lea.environments.plan_rollback(life.name)
    good = life.head("out")

    two = version(life, "v2")
    life.deploy(two, PRODUCTION)
    life.append("feed", (2,))
    life.works(PRODUCTION)
    life.lea.environments.rollback(life.name, reason="slow")
    assert life.on("out", "main") == [(1, "v1"), (2, "v2")], "code only"
    life.deploy(two, PRODUCTION)
    before = life.head("out")
    catalog = life.catalog
    catalog.create_namespace_if_not_exists(f"{life.ns}__development")
    feed = catalog.create_table((f"{life.ns}__development", "feed"), life.table("feed").schema())
    feed.append(life.table("feed").scan().to_arrow())
    life.works(Environment.DEVELOPMENT)  # publishes to main too, of a table of its own
    runs: list[str] = []
    for row in (3, 4):
        life.append("feed", (row,))
        runs.append(life.works(PRODUCTION).run_id)
    theirs = life.foreign("out", id=99, by="nobody")

    plan = life.lea.environments.plan_rollback(life.name, data=True)
    assert [gone.run_id for gone in plan.undone] == [None, *reversed(runs)]
    assert plan.undone[0].snapshot == theirs
    with pytest.raises(Conflict, match="rolling back data undoes 3 publishes; review the plan and consent to sha256:"):
        life.lea.environments.rollback(life.name, reason="wrong sums", data=True)
    done = life.lea.environments.rollback(life.name, reason="wrong sums", data=True, consent=plan.plan.digest)
    assert done.state is State.DONE, done.outcome
    assert (life.head("out"), life.on("out", "main")) == (before, [(1, "v1"), (2, "v2")])
    assert good is not None
    life.works(PRODUCTION)
    assert life.on("out", "main") == [(1, "v1"), (2, "v2"), (3, "v1"), (4, "v1")], "its positions went back too (D4)"


def test_l15_what_spark_writes_past_drls_blocks_promotions_until_it_is_reverted(life: LifecycleLab) -> None:
    life.create("feed", id="long")
    life.append("feed", (1,))
    one = version(life, "v1")
    life.deploy(one, UAT, PRODUCTION)
    life.works(PRODUCTION)
    ours = life.head("out")
    two = version(life, "v2")
    life.deploy(two, UAT)
    life.append("feed", (2,))
    life.works(UAT)
    life.sql(f"INSERT INTO {life.spark_name('out')} VALUES (99, 'nobody')")
    (drift,) = [one for one in reconcile(life.ctx, SETUP).drifts if one.table_name == life.named("out")]
    assert (drift.environment, drift.found) == (PRODUCTION, life.head("out"))
    with pytest.raises(Refused, match=f"{life.named('out')} has drifted on main"):
        life.ask(two, PRODUCTION)
    life.lea.environments.settle_drift(drift.id, "revert", reason="nobody may")
    assert life.head("out") == ours
    life.promote(two, PRODUCTION)
    assert life.on("out", "main") == [(1, "v1"), (2, "v2")]
    assert life.unanswered("out", PRODUCTION) == []


def test_d12_l12_a_first_release_that_meets_another_writer_is_undone_as_a_whole(
    life: LifecycleLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.file("a.csv", "id\n1\n")
    one = life.save(
        life.csv(),
        sink("first", life.named("first"), "overwrite"),
        sink("second", life.named("second"), "overwrite"),
        flow="raw>first, raw>second",
    )
    life.deploy(one, UAT)
    life.works(UAT)
    asked = life.ask(one, PRODUCTION)
    tables = life.lea.promotions.show(asked.id).plan.tables
    assert [(table.table, table.base) for table in tables] == [
        (life.named("first"), None),
        (life.named("second"), None),
    ]
    move = IcebergDataPlane.move

    def contested(plane: IcebergDataPlane, wanted: Move, environment: Environment) -> MoveResult:
        """Somebody writes the second table between the moves of the first and the second."""
        if wanted.table == life.named("second"):
            life.foreign("second", id=99)
        return move(plane, wanted, environment)

    with monkeypatch.context() as patched:
        patched.setattr(IcebergDataPlane, "move", contested)
        stale = life.approve(asked)
    assert stale.state is State.STALE
    assert stale.outcome == f"tables[{life.named('second')}].base: it moved while the promotion executed"
    first: Any = life.table("first")
    assert (life.head("first"), first.properties["drls.released"], life.branches("first")) == (None, "false", ["uat"])
    assert life.on("second", "main") == [(99,)]
    assert life.ada.environments.active(PRODUCTION, pipeline=life.name) == ()
