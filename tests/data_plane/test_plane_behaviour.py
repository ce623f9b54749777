"""What every data plane does: one suite for the fake that the lifecycle's tests use and for Iceberg."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drls_dagster.settings import CatalogSettings, load_settings
from lifecycle.domain.data_diff import Cell, DataDiff, DiffLimits, Duplicates, Progress, RowKey, Side, Statistics
from lifecycle.domain.environment import Environment
from lifecycle.errors import Conflict, LifecycleError, Refused
from lifecycle.ports import Move, MoveResult
from tests.fakes.lake import LakePlane
from tests.fakes.plane import FakePlane

DEVELOPMENT, QA, UAT, PRODUCTION = Environment
T = "flights.daily"
Plane = FakePlane | LakePlane


@pytest.fixture(params=["fake", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def plane(request: pytest.FixtureRequest, drls_home: Path, tmp_path: Path) -> Plane:
    if request.param == "fake":
        return FakePlane(tmp_path / "plane.db")
    settings = load_settings(drls_home)
    if request.param == "sqlite":
        return LakePlane(settings)
    url = request.getfixturevalue("postgres").fresh_database().replace("+psycopg2", "")
    return LakePlane(settings.model_copy(update={"catalog": CatalogSettings(uri=url)}))


def release(base: int | None, candidate: int, tag: str = "drls-release-1", ref: str = "main") -> Move:
    return Move(table=T, ref=ref, base=base, candidate=candidate, tag=tag)


def chain(plane: Plane, environment: Environment, head: int | None, until: int | None) -> list[int]:
    return [one.id for one in plane.snapshots(T, environment, head, until)]


def test_a_table_that_nobody_wrote_has_no_head_and_no_history(plane: Plane) -> None:
    assert plane.table(T, PRODUCTION).head is None
    assert chain(plane, PRODUCTION, None, None) == []
    assert not plane.is_on_main(T, 7)
    assert plane.metadata_changes('{"format_version": 1, "name": "p", "nodes": []}', QA) == {}


def test_an_environment_sees_its_own_branch_where_there_is_one_and_main_where_not(plane: Plane) -> None:
    first = plane.commit(T)
    assert [plane.table(T, one).head for one in (QA, UAT, PRODUCTION)] == [first] * 3
    plane.open_session(QA, [T])
    second = plane.commit(T, "qa")
    assert [plane.table(T, one).head for one in (QA, UAT, PRODUCTION)] == [second, first, first]
    assert plane.table(T, QA).uuid == plane.table(T, PRODUCTION).uuid
    assert plane.table(T, QA).separate is None


def test_the_history_goes_from_the_head_back_to_and_without_until(plane: Plane) -> None:
    a, b = plane.commit(T), plane.commit(T)
    c = plane.commit(T, operation="replace")
    assert chain(plane, PRODUCTION, c, None) == [c, b, a]
    assert chain(plane, PRODUCTION, c, a) == [c, b]
    assert chain(plane, PRODUCTION, c, c) == []
    aside = plane.write(T, a)
    assert chain(plane, PRODUCTION, c, aside) == [c, b, a], "no ancestor: all of them"
    facts = plane.snapshots(T, PRODUCTION, c, a)
    assert [(one.parent, one.operation) for one in facts] == [(b, "replace"), (a, "append")]
    assert chain(plane, PRODUCTION, 1_000_000, None) == [], "unknown"


def test_on_main_is_its_head_and_what_came_before(plane: Plane) -> None:
    first = plane.commit(T)
    plane.open_session(QA, [T])
    aside = plane.commit(T, "qa")
    second = plane.commit(T)
    assert [plane.is_on_main(T, one) for one in (first, second, aside)] == [True, True, False]


def test_d9_a_session_starts_fresh_off_main_and_opening_it_again_changes_nothing(plane: Plane) -> None:
    base = plane.commit(T)
    assert dict(plane.open_session(QA, [T])) == {T: base}
    plane.commit(T, "qa")
    assert dict(plane.open_session(QA, [T])) == {T: base}
    assert plane.head(T, "qa") == base
    newer = plane.commit(T)
    assert dict(plane.open_session(QA, [T])) == {T: newer}
    assert dict(plane.open_session(QA, [T])) == {T: newer}
    assert (plane.head(T, "qa"), plane.head(T, "uat")) == (newer, None)


def test_d9_d12_a_session_on_a_table_without_data_has_no_branch(plane: Plane) -> None:
    assert dict(plane.open_session(QA, [T])) == {T: None}
    plane.publish(T, "qa", None, plane.write(T, None))
    assert plane.head(T, "qa") is not None
    assert dict(plane.open_session(QA, [T])) == {T: None}
    assert plane.head(T, "qa") is None


@pytest.mark.parametrize("other_main", [False, True])
def test_d9_a_session_is_not_opened_over_what_was_written_since_the_table_was_seen(
    plane: Plane, other_main: bool
) -> None:
    """Finding 3; failed on 0.1.0: whoever came late put the branch back to main."""
    base = plane.commit(T)
    seen = {T: plane.table(T, QA)}
    assert dict(plane.open_session(QA, [T], seen)) == {T: base}
    assert dict(plane.open_session(QA, [T], seen)) == {T: base}, "nothing was written: again is once"
    published = plane.commit(T, "qa")
    if other_main:
        plane.commit(T)
    with pytest.raises(Conflict, match="try again"):
        plane.open_session(QA, [T], seen)
    assert plane.head(T, "qa") == published


def test_pins_come_and_go_and_repeating_changes_nothing(plane: Plane) -> None:
    a, b = plane.commit(T), plane.commit(T)
    for _ in range(2):
        plane.pin(T, UAT, a, "drls-candidate-1")
        assert plane.tags(T) == {"drls-candidate-1": a}
    plane.pin(T, UAT, b, "drls-candidate-1")
    assert plane.tags(T) == {"drls-candidate-1": b}
    for _ in range(2):
        plane.unpin(T, UAT, "drls-candidate-1")
        assert plane.tags(T) == {}
    with pytest.raises(LifecycleError, match=f"{T} no longer has snapshot 42"):
        plane.pin(T, UAT, 42, "drls-candidate-1")


def test_l12_a_move_sets_ref_and_tag_and_repeating_it_is_already(plane: Plane) -> None:
    base = plane.commit(T)
    candidate = plane.write(T, base)
    move = release(base, candidate)
    assert plane.move(move, PRODUCTION) is MoveResult.MOVED
    assert (plane.head(T, "main"), plane.tags(T)) == (candidate, {move.tag: candidate})
    assert plane.move(move, PRODUCTION) is MoveResult.ALREADY
    plane.commit(T)
    assert plane.move(move, PRODUCTION) is MoveResult.ALREADY, "others went on from it"


def test_l12_a_move_from_another_base_to_a_lost_candidate_or_with_a_taken_tag_conflicts(plane: Plane) -> None:
    base = plane.commit(T)
    candidate = plane.write(T, base)
    plane.pin(T, PRODUCTION, base, "taken")
    newer = plane.commit(T)
    conflicts = [
        release(base, candidate),
        release(None, candidate),
        release(newer, 42),
        release(newer, candidate, "taken"),
    ]
    assert {plane.move(move, PRODUCTION) for move in conflicts} == {MoveResult.CONFLICT}
    assert (plane.head(T, "main"), plane.tags(T)) == (newer, {"taken": base})


def test_d12_the_first_release_is_a_move_from_nothing_and_undoing_it_leaves_nothing(plane: Plane) -> None:
    candidate = plane.write(T, None)
    move = release(None, candidate)
    assert plane.move(move, PRODUCTION) is MoveResult.MOVED
    assert plane.head(T, "main") == candidate
    assert plane.move(release(None, candidate, "drls-release-2"), PRODUCTION) is MoveResult.CONFLICT
    for _ in range(2):
        assert plane.undo(move, PRODUCTION)
        assert (plane.head(T, "main"), plane.tags(T)) == (None, {})
    assert plane.move(move, PRODUCTION) is MoveResult.MOVED


@pytest.mark.parametrize("first", [True, False], ids=["from nothing", "from a base"])
def test_d14_of_several_moves_at_once_one_moves_and_the_others_conflict(plane: Plane, first: bool) -> None:
    base = None if first else plane.commit(T)
    candidate = plane.write(T, base)
    moves = [release(base, candidate, f"drls-release-{number}") for number in range(6)]
    with ThreadPoolExecutor(len(moves)) as threads:
        results = list(threads.map(lambda move: plane.move(move, PRODUCTION), moves))
    assert sorted(results) == [*[MoveResult.CONFLICT] * 5, MoveResult.MOVED]
    winner = moves[results.index(MoveResult.MOVED)]
    assert (plane.head(T, "main"), plane.tags(T)) == (candidate, {winner.tag: candidate})


def test_l12_undo_puts_the_ref_back_once_and_repeating_it_changes_nothing(plane: Plane) -> None:
    base = plane.commit(T)
    candidate = plane.write(T, base)
    move = release(base, candidate)
    plane.move(move, PRODUCTION)
    for _ in range(2):
        assert plane.undo(move, PRODUCTION)
        assert (plane.head(T, "main"), plane.tags(T)) == (base, {})
    assert plane.move(move, PRODUCTION) is MoveResult.MOVED


def test_l12_undo_is_refused_when_others_wrote_on_top(plane: Plane) -> None:
    base = plane.commit(T)
    move = release(base, plane.write(T, base))
    plane.move(move, PRODUCTION)
    theirs = plane.commit(T)
    assert not plane.undo(move, PRODUCTION)
    assert (plane.head(T, "main"), set(plane.tags(T))) == (theirs, {move.tag})


def test_l12_undo_of_what_did_not_move_leaves_foreign_writes_alone(plane: Plane) -> None:
    base = plane.commit(T)
    move = release(base, plane.write(T, base))
    theirs = plane.commit(T)
    assert plane.undo(move, PRODUCTION)
    assert plane.head(T, "main") == theirs


def test_l13_a_move_may_go_back_to_an_older_snapshot_and_be_undone(plane: Plane) -> None:
    old, new = plane.commit(T), plane.commit(T)
    back = release(new, old, "drls-release-9")
    assert plane.move(back, PRODUCTION) is MoveResult.MOVED
    assert plane.head(T, "main") == old
    assert plane.undo(back, PRODUCTION)
    assert (plane.head(T, "main"), plane.tags(T)) == (new, {})


def test_l15_a_branch_is_reverted_by_a_move_too(plane: Plane) -> None:
    plane.commit(T)
    (base,) = plane.open_session(UAT, [T]).values()
    assert base is not None
    foreign = plane.commit(T, "uat")
    assert plane.move(release(foreign, base, "drls-revert-1", "uat"), UAT) is MoveResult.MOVED
    assert (plane.head(T, "uat"), plane.head(T, "main")) == (base, base)


def found(plane: Plane, before: int | None, after: int | None, *keys: tuple[str, ...]) -> DataDiff:
    """By the first of `keys` that both sides have."""
    sides = Side(environment=PRODUCTION, snapshot=before), Side(environment=UAT, snapshot=after)
    promised = [RowKey(columns=key, because="they are unique") for key in keys]
    return plane.compare(T, *sides, promised, DiffLimits(), lambda _: None)


def test_a_comparison_by_key_tells_added_removed_and_changed_rows_apart(plane: Plane) -> None:
    base = plane.commit(T, rows=[{"id": 1, "note": "a"}, {"id": 2, "note": "b"}, {"id": 3, "note": "c"}])
    rows = [{"id": 1, "note": "a"}, {"id": 2, "note": None}, {"id": 4, "note": "d"}, {"id": 5, "note": "d"}]
    diff = found(plane, base, plane.write(T, base, "overwrite", rows), ("id",))
    assert (diff.added, diff.removed, diff.changed, diff.keys) == (2, 1, 1, ("id",))
    assert (diff.before.rows, diff.after.rows) == (3, 4)
    assert diff.sample_columns == ("id", "note")
    assert sorted(row.values for row in diff.added_rows) == [("4", "d"), ("5", "d")]
    assert [row.values for row in diff.removed_rows] == [("3", "c")]
    (changed,) = diff.changed_rows
    assert (changed.key, changed.cells) == (("2",), (Cell(column="note", before="b", after=None),))
    note = diff.columns[1]
    assert (note.changed, note.before, note.after) == (
        1,
        Statistics(nulls=0, min="a", max="c", distinct=3),
        Statistics(nulls=1, min="a", max="d", distinct=2),
    )
    assert set(note.moved) == {"nulls", "max", "distinct"}
    assert (diff.fraction, diff.statistics_note) == (1, "of all rows")


def test_a_comparison_without_keys_counts_whole_rows_as_often_as_they_are_there(plane: Plane) -> None:
    base = plane.commit(T, rows=[{"id": 1, "note": "a"}] * 3 + [{"id": 2, "note": "b"}])
    diff = found(plane, base, plane.write(T, base, "overwrite", [{"id": 1, "note": "a"}, {"id": 2, "note": "c"}]))
    assert (diff.added, diff.removed, diff.changed) == (1, 3, None)
    assert sorted((row.values, row.times) for row in diff.removed_rows) == [(("1", "a"), 2), (("2", "b"), 1)]
    assert "whole rows" in diff.matched_by


BASE = [{"id": 1, "note": "a"}, {"id": 2, "note": "b"}, {"id": 3, "note": "b"}]


@pytest.mark.parametrize("keys", [(), (("id",),)], ids=["whole rows", "by key"])
def test_a_column_that_is_new_or_gone_changes_the_schema_and_no_row(plane: Plane, keys: tuple[tuple[str, ...]]) -> None:
    base = plane.commit(T, rows=BASE)
    wider = plane.write(T, base, "overwrite", [{**row, "speed": 7 * row["id"]} for row in BASE])
    for diff, kind in ((found(plane, base, wider, *keys), "added"), (found(plane, wider, base, *keys), "removed")):
        assert (diff.added, diff.removed, diff.changed) == (0, 0, 0 if keys else None)
        (change,), column = diff.schema_changes, diff.columns[-1]
        assert (change.kind, change.column, column.column, column.changed) == (kind, "speed", "speed", None)
        assert (column.before is None, column.after is None) == (kind == "added", kind == "removed")
        there = column.after if kind == "added" else column.before
        assert there is not None
        assert (there.min, there.max) == ("7", "21")
        assert diff.matched_by.endswith("compared on the columns both sides have")
        assert (diff.sample_columns, diff.columns_not_shown) == (("id", "note"), 1)
        assert not diff.is_same, "a new column is a difference"


def test_beside_a_new_column_rows_still_differ_in_the_columns_that_both_have(plane: Plane) -> None:
    base = plane.commit(T, rows=BASE)
    rows = [{"id": 1, "note": "a", "speed": 7}, {"id": 2, "note": "z", "speed": 7}, {"id": 4, "note": "b", "speed": 7}]
    wider = plane.write(T, base, "overwrite", rows)
    by_key = found(plane, base, wider, ("id",))
    assert (by_key.added, by_key.removed, by_key.changed) == (1, 1, 1)
    (changed,) = by_key.changed_rows
    assert changed.cells == (Cell(column="note", before="b", after="z"),)
    whole = found(plane, base, wider)
    assert (whole.added, whole.removed, whole.changed) == (2, 2, None)
    assert sorted(row.values for row in whole.added_rows) == [("2", "z"), ("4", "b")]


def test_rows_that_are_alike_without_a_new_column_count_as_often_as_they_are_there(plane: Plane) -> None:
    base = plane.commit(T, rows=[{"id": 1, "note": "a"}] * 3)
    wider = plane.write(T, base, "overwrite", [{"id": 1, "note": "a", "speed": number} for number in range(2)])
    diff = found(plane, base, wider)
    assert (diff.added, diff.removed) == (0, 1)


def test_the_first_key_that_both_sides_have_is_taken_and_said_with_whose_word_it_is(plane: Plane) -> None:
    base = plane.commit(T, rows=BASE)
    wider = plane.write(T, base, "overwrite", [{**row, "note": "z", "speed": 7} for row in BASE])
    diff = found(plane, base, wider, ("speed", "id"), ("id",))
    assert (diff.keys, diff.added, diff.removed, diff.changed) == (("id",), 0, 0, 3)
    assert diff.matched_by.startswith("rows are matched by id: they are unique")
    without = found(plane, base, wider, ("speed",))
    assert (without.keys, without.changed) == ((), None)
    assert (without.added, without.removed, without.duplicates_before) == (3, 3, None)
    assert without.matched_by.startswith("whole rows are compared")


def test_a_promise_that_a_side_breaks_is_told_and_no_row_is_lost(plane: Plane) -> None:
    """A check that warns, or rows from before the check: what is unique here is not unique there."""
    base = plane.commit(T, rows=[{"id": 1, "note": "a"}, {"id": 1, "note": "b"}, {"id": 2, "note": "c"}])
    rows = [{"id": 1, "note": "a"}, {"id": 1, "note": "z"}, {"id": 1, "note": "y"}, {"id": 2, "note": "d"}]
    diff = found(plane, base, plane.write(T, base, "overwrite", rows), ("id",))
    assert (diff.added, diff.removed, diff.changed) == (2, 1, 1), "id 1 is no key here, id 2 is one"
    assert (diff.duplicates_before, diff.duplicates_after) == (Duplicates(keys=1), Duplicates(keys=1))


def test_a_comparison_says_which_keys_are_none(plane: Plane) -> None:
    base = plane.commit(T, rows=[{"id": 1, "note": "a"}, {"id": None, "note": "b"}])
    diff = found(plane, base, plane.write(T, base, rows=[{"id": 1, "note": "z"}]), ("id",))
    assert (diff.added, diff.removed, diff.changed) == (1, 0, 0), "nothing that was there changed"
    assert (diff.duplicates_before, diff.duplicates_after) == (Duplicates(nulls=1), Duplicates(keys=1, nulls=1))


def test_d12_a_first_table_is_all_added_and_one_that_goes_is_all_removed(plane: Plane) -> None:
    first = plane.commit(T, rows=[{"id": 1, "note": "a"}, {"id": 2, "note": None}])
    diff = found(plane, None, first)
    assert (diff.added, diff.removed, diff.before.rows, diff.after.rows) == (2, 0, 0, 2)
    assert {column.before for column in diff.columns} == {None}
    assert diff.schema_changes == ()
    diff = found(plane, first, None, ("id",))
    assert (diff.added, diff.removed, diff.changed) == (0, 2, 0)
    assert {column.after for column in diff.columns} == {None}
    assert found(plane, None, None).is_same


def test_a_compaction_and_the_snapshot_itself_differ_in_nothing(plane: Plane) -> None:
    base = plane.commit(T, rows=[{"id": 1, "note": "a"}])
    assert found(plane, base, base).is_same
    assert found(plane, base, plane.commit(T, operation="replace"), ("id",)).is_same


def test_comparing_with_a_snapshot_that_expired_says_so_in_one_line(plane: Plane) -> None:
    old, new = plane.commit(T), plane.commit(T)
    plane.expire(T, [old])
    with pytest.raises(LifecycleError, match=f"^{T} no longer has snapshot {old} in production[^\\n]*$"):
        found(plane, old, new)


def test_who_watches_a_comparison_can_end_it(plane: Plane) -> None:
    def stop(_: Progress) -> None:
        raise Refused("nobody looks any more")

    base = plane.commit(T)
    with pytest.raises(Refused, match="nobody looks"):
        plane.compare(
            T,
            Side(environment=PRODUCTION, snapshot=base),
            Side(environment=UAT, snapshot=plane.write(T, base)),
            (),
            DiffLimits(),
            stop,
        )
