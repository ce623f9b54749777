"""What expiry took is found in older metadata; a catalog that fails says so in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from drls_dagster.lakehouse.data_plane import CatalogFailed, IcebergDataPlane
from drls_dagster.settings import CatalogSettings, load_settings
from lifecycle.errors import LifecycleError
from lifecycle.ports import Move, MoveResult
from tests.fakes.lake import LakePlane
from tests.lifecycle.life import PRODUCTION, QA

T = "flights.daily"


def test_expired_snapshots_are_still_history(lake: LakePlane) -> None:
    a, b, c, d = (lake.commit(T) for _ in range(4))
    lake.expire(T, [a, b])
    assert [one.id for one in lake.snapshots(T, PRODUCTION, d, None)] == [d, c], "what the table still knows"
    assert [one.id for one in lake.snapshots(T, PRODUCTION, d, a)] == [d, c, b]
    assert [(one.id, one.parent) for one in lake.snapshots(T, PRODUCTION, d, b)] == [(d, c), (c, b)]
    assert lake.is_on_main(T, a)
    assert not lake.is_on_main(T, 42)


def test_l3_compaction_over_an_expired_base_still_names_its_base(lake: LakePlane) -> None:
    base = lake.commit(T)
    compacted = lake.commit(T, operation="replace")
    lake.expire(T, [base])
    (only,) = lake.snapshots(T, PRODUCTION, compacted, base)
    assert (only.id, only.parent, only.operation) == (compacted, base, "replace")


def test_l12_undo_to_a_base_that_was_expired_says_what_to_do(lake: LakePlane) -> None:
    base = lake.commit(T)
    move = Move(table=T, ref="main", base=base, candidate=lake.write(T, base), tag="t")
    assert lake.move(move, PRODUCTION) is MoveResult.MOVED
    lake.expire(T, [base])
    with pytest.raises(CatalogFailed, match=rf"'main' of {T} cannot go back to snapshot {base}, which was expired"):
        lake.undo(move, PRODUCTION)
    assert lake.head(T, "main") == move.candidate


def test_a_branch_keeps_how_long_it_keeps_snapshots(lake: LakePlane) -> None:
    base = lake.commit(T)
    table = lake.lake_table(T)
    from pyiceberg.table.update import SetSnapshotRefUpdate

    kept = SetSnapshotRefUpdate.model_validate(
        {"ref-name": "main", "type": "branch", "snapshot-id": base, "min-snapshots-to-keep": 7}
    )
    lake.catalog.commit_table(table, (), (kept,))
    lake.move(Move(table=T, ref="main", base=base, candidate=lake.write(T, base), tag="t"), PRODUCTION)
    assert lake.lake_table(T).refs()["main"].min_snapshots_to_keep == 7


def test_d10_a_table_of_an_environment_is_never_on_main(lake: LakePlane) -> None:
    made = lake.commit("flights__uat.daily")
    assert not lake.is_on_main("flights__uat.daily", made)


def test_a_catalog_that_does_not_answer_is_one_line_without_credentials(tmp_path: Path) -> None:
    catalog = CatalogSettings(type="rest", uri="http://127.0.0.1:9/", secrets={"token": "env:TOKEN_OF_TEST"})
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TOKEN_OF_TEST", "very-secret")
        plane = IcebergDataPlane(load_settings(tmp_path).model_copy(update={"catalog": catalog}))
        with pytest.raises(CatalogFailed) as told:
            plane.table(T, QA)
    assert isinstance(told.value, LifecycleError)
    assert told.value.status == 503
    assert told.value.message.startswith("the catalog 'lake' at http://127.0.0.1:9/ failed: ")
    assert "\n" not in told.value.message
    assert "very-secret" not in told.value.message


def test_nothing_is_opened_before_it_is_needed(tmp_path: Path) -> None:
    IcebergDataPlane(load_settings(tmp_path / "home"))
    assert not (tmp_path / "home").exists()
