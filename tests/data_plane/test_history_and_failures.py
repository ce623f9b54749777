"""What expiry took is found in older metadata; a catalog that fails says so in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException

from drls_dagster.lakehouse import commit_retry as commit
from drls_dagster.lakehouse import locating
from drls_dagster.lakehouse.catalog import catalog_errors
from drls_dagster.lakehouse.catalog_config import resolve_catalog
from drls_dagster.lakehouse.data_plane import CatalogFailed, CatalogFault, IcebergDataPlane
from drls_dagster.settings import CatalogSettings, load_settings
from lifecycle.errors import Conflict, LifecycleError, Refused
from lifecycle.outages import is_outage
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
    with pytest.raises(Refused, match=rf"'main' of {T} cannot return to snapshot {base}, which has expired"):
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


def test_what_the_rules_refuse_is_no_outage(lake: LakePlane) -> None:
    """Finding 18; on 0.1.0 both were a CatalogFailed with status 503."""
    lake.commit(T)
    with pytest.raises(Refused, match=f"{T} no longer has snapshot 42 in QA; run the pipeline there again") as told:
        lake.pin(T, QA, 42, "drls-candidate-1")
    assert (told.value.status, is_outage(told.value)) == (409, False)


@pytest.mark.parametrize("error", [TypeError("not a table"), KeyError("head"), AttributeError("no such method")])
def test_a_defect_shows_as_one(lake: LakePlane, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Finding 18; on 0.1.0 a wrong line of code looked like a catalog that is down."""
    lake.commit(T)
    monkeypatch.setattr(locating, "look_at", lambda *_: (_ for _ in ()).throw(error))
    with pytest.raises(type(error)):
        lake.table(T, QA)


def test_a_defect_whose_text_holds_a_credential_is_told_without_it(tmp_path: Path) -> None:
    """Finding 18."""
    catalog = CatalogSettings(type="rest", uri="http://127.0.0.1:9/", secrets={"token": "env:TOKEN_OF_TEST"})
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TOKEN_OF_TEST", "very-secret")
        settings = load_settings(tmp_path).model_copy(update={"catalog": catalog})
        with pytest.raises(CatalogFault) as told, catalog_errors(resolve_catalog(settings)):
            raise KeyError("very-secret")
    assert "very-secret" not in told.value.message
    assert told.value.__cause__ is None


def test_a_table_whose_metadata_is_gone_is_a_fault_of_the_catalog(lake: LakePlane) -> None:
    """Finding 18: waiting does not help, so no sensor says "trying again"."""
    lake.commit(T)
    Path(lake.lake_table(T).metadata_location.removeprefix("file://")).unlink()
    with pytest.raises(CatalogFault, match=r"the table's metadata file .* is missing; restore it") as told:
        lake.table(T, QA)
    assert (told.value.status, is_outage(told.value)) == (502, False)


def test_d14_others_that_are_faster_every_time_are_a_conflict(lake: LakePlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 18."""
    base = lake.commit(T)
    monkeypatch.setattr(commit, "_LONGEST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(commit, "_FIRST_WAIT_SECONDS", 0.0)

    def busy(*_: object) -> None:
        raise CommitFailedException("requirement failed")

    monkeypatch.setattr(SqlCatalog, "commit_table", busy)
    with pytest.raises(Conflict, match="other writers committed first 8 times") as told:
        lake.pin(T, QA, base, "drls-candidate-1")
    assert not is_outage(told.value)
