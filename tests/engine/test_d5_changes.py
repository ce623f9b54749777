"""D5: a source of changes gives what became of each key, and a merge sink below it becomes equal to the table."""

from __future__ import annotations

import json

import pytest
from lab import Lab, iceberg, on, sink, sql
from pyiceberg.types import LongType
from test_d4_positions import A, B, C, D, compact, expire_all_but_head
from test_d5_incremental import roll_back

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.positions import POSITIONS, PositionLost

pytestmark = pytest.mark.slow

# A filter of rows that change: what no longer passes is removed from the sink.
SHOWN = "SELECT id, {name} AS name, IF(name LIKE 'hidden%', 'delete', _change_type) AS _change_type FROM raw"


def changes(lab: Lab, query: str = "SELECT * FROM raw", **more: object) -> str:
    return lab.pipeline(
        iceberg("raw", lab.named("src"), "changes", keys=["id"]),
        sql("step", query),
        sink("out", lab.named("out"), "merge", keys=["id"], **more),
        flow="raw>step>out",
    )


def source(lab: Lab, *rows: tuple[int, str]) -> int:
    lab.create("src", id="long", name="string")
    return lab.append("src", *rows)


def test_d5_updates_deletes_and_compactions_of_a_source_arrive_in_a_merge_sink(lab: Lab) -> None:
    read_to = source(lab, A, B, C)
    text = changes(lab)
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [A, B, C]
    uuid = str(lab.table("src").metadata.table_uuid)
    assert json.loads(lab.summary("out")[POSITIONS]) == {uuid: read_to}  # D4
    name = lab.spark_name("src")
    lab.sql(f"UPDATE {name} SET name = 'new' WHERE id = 1")
    lab.sql(f"DELETE FROM {name} WHERE id = 2")
    compact(lab, "src")
    lab.append("src", D, (5, "gone again"))
    lab.sql(f"DELETE FROM {name} WHERE id = 5")
    done = lab.prepare(text).sink("out")
    assert done.reads["raw"].start == read_to
    assert lab.rows("out") == [(1, "new"), C, D]
    # Rows that were only rewritten are not written again: C is in no file that this run added.
    added = int(refs.summary(done.snapshot).get("added-records", 0))
    assert added <= 3
    assert "_change_type" not in lab.table("out").schema().column_names


def test_d5_a_rollback_of_the_source_is_followed_and_said(lab: Lab) -> None:
    common = source(lab, A, B)
    text = changes(lab)
    lab.append("src", C)
    lab.prepare(text).sink("out")
    roll_back(lab, "src", common)
    lab.append("src", D)
    said: list[str] = []
    prepared = lab.prepare(text)
    prepared.run.log = said.append
    prepared.sink("out")
    assert lab.rows("out") == [A, B, D]
    assert any("reads all of" in one and "no longer an ancestor" in one for one in said), said


def test_d5_position_deletes_of_the_source_are_followed(lab: Lab) -> None:
    source(lab, A, B, C)
    with lab.table("src").transaction() as change:
        change.set_properties({"write.delete.mode": "merge-on-read", "write.update.mode": "merge-on-read"})
    text = changes(lab)
    lab.prepare(text).sink("out")
    lab.sql(f"DELETE FROM {lab.spark_name('src')} WHERE id = 2")
    lab.sql(f"UPDATE {lab.spark_name('src')} SET name = 'new' WHERE id = 3")
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [A, (3, "new")]


def test_d5_columns_of_the_source_are_renamed_added_and_dropped_in_between(lab: Lab) -> None:
    lab.create("src", id="long", name="string", extra="string")
    lab.append("src", (1, "a", "x"), (2, "b", "y"))
    text = changes(lab)
    lab.prepare(text).sink("out")
    with lab.table("src").update_schema() as change:
        change.rename_column("name", "called")
        change.add_column("more", LongType())
    lab.append("src", (3, "c", "z", 9))
    lab.sql(f"DELETE FROM {lab.spark_name('src')} WHERE id = 1")
    lab.prepare(changes(lab, "SELECT id, called AS name, extra, more, _change_type FROM raw")).sink("out")
    assert lab.rows("out", "id", "name", "extra", "more") == [(2, "b", "y", None), (3, "c", "z", 9)]
    lab.sql(f"UPDATE {lab.spark_name('src')} SET called = 'new', extra = 'kept' WHERE id = 2")
    with lab.table("src").update_schema() as change:
        change.delete_column("extra")  # after the snapshot that is read, which still has it
    said: list[str] = []
    prepared = lab.prepare(changes(lab, "SELECT id, called AS name, extra, more, _change_type FROM raw"))
    prepared.run.log = said.append
    prepared.sink("out")
    assert lab.rows("out", "id", "name", "extra", "more") == [(2, "new", "kept", None), (3, "c", "z", 9)]
    assert any("its column 'extra' was changed or dropped" in one for one in said), said


def test_d5_a_filter_removes_what_no_longer_passes_and_a_rebuild_writes_only_what_passes(lab: Lab) -> None:
    source(lab, A, B, (3, "hidden"))
    lab.prepare(changes(lab, SHOWN.format(name="name"))).sink("out")
    assert lab.rows("out") == [A, B]
    name = lab.spark_name("src")
    lab.sql(f"UPDATE {name} SET name = 'hidden now' WHERE id = 2")
    lab.sql(f"UPDATE {name} SET name = 'shown' WHERE id = 3")
    lab.prepare(changes(lab, SHOWN.format(name="name"))).sink("out")
    assert lab.rows("out") == [A, (3, "shown")]
    numbers = SHOWN.format(name="length(name)")
    lab.prepare(changes(lab, numbers, on_schema_change="rebuild")).sink("out")
    assert lab.rows("out") == [(1, 1), (3, 5)]
    lab.sql(f"DELETE FROM {name} WHERE id = 3")
    lab.prepare(changes(lab, numbers, on_schema_change="rebuild")).sink("out")
    assert lab.rows("out") == [(1, 1)]


def test_d5_another_kind_of_change_than_these_two_fails_the_sink(lab: Lab) -> None:
    source(lab, A)
    text = changes(lab, "SELECT id, name, 'gone' AS _change_type FROM raw")
    with pytest.raises(DrlsError, match="_change_type is 'gone', not upsert or delete"):
        lab.prepare(text).sink("out")


def test_d5_a_step_that_drops_the_kind_of_change_fails_the_sink(lab: Lab) -> None:
    source(lab, A)
    with pytest.raises(DrlsError, match="has no column '_change_type', so deleted rows would be written again"):
        lab.prepare(changes(lab, "SELECT id, name FROM raw")).sink("out")


@pytest.mark.parametrize("at_once", [True, False])
def test_d5_keys_that_repeat_in_the_source_fail_the_sink(lab: Lab, at_once: bool) -> None:
    source(lab, A)
    text = changes(lab)
    lab.prepare(text).sink("out")
    for rows in ((B, (2, "twin")),) if at_once else ((B,), ((2, "twin"),)):
        lab.append("src", *rows)
    lab.sql(f"DELETE FROM {lab.spark_name('src')} WHERE name = 'twin'")  # which row was removed, the key cannot say
    with pytest.raises(DrlsError, match="has several rows with the same id; changes need a unique key"):
        lab.prepare(text).sink("out")
    assert lab.rows("out") == [A]


def test_d4_a_position_that_has_expired_stops_the_run_with_the_remedy(lab: Lab) -> None:
    source(lab, A)
    text = changes(lab)
    lab.prepare(text).sink("out")
    lab.append("src", B)
    expire_all_but_head(lab, "src")
    with pytest.raises(PositionLost, match=r"`drls table reset-position .* keeps those that the source has deleted"):
        lab.prepare(text).sink("out")


def test_d4_a_source_that_was_made_anew_stops_the_run_with_the_remedy(lab: Lab) -> None:
    source(lab, A, B)
    text = changes(lab)
    lab.prepare(text).sink("out")
    lab.catalog.drop_table(lab.identifier("src"))
    source(lab, A)
    with pytest.raises(PositionLost, match=r"was recreated .* so the rows that are gone from it would stay; .*reset-p"):
        lab.prepare(text).sink("out")
    assert lab.rows("out") == [A, B]


@pytest.mark.parametrize("stage", ["written", "published"])
def test_d1_d4_a_run_that_died_takes_the_same_changes_when_it_is_resumed(lab: Lab, stage: str) -> None:
    source(lab, A, B)
    text = changes(lab)
    lab.prepare(text).sink("out")
    lab.sql(f"DELETE FROM {lab.spark_name('src')} WHERE id = 1")

    def die() -> None:
        raise SystemExit("killed")

    first = lab.prepare(text)
    with pytest.raises(SystemExit):
        first.sink("out", on(stage, die))
    read_to = lab.append("src", C)
    resumed = lab.prepare(text, run_key=first.run.run_key).sink("out")
    assert resumed.repeated is (stage == "published")
    assert lab.rows("out") == [B]
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [B, C]
    uuid = str(lab.table("src").metadata.table_uuid)
    assert json.loads(lab.summary("out")[POSITIONS]) == {uuid: read_to}


def test_d1_d7_a_run_that_is_repeated_publishes_once_what_it_pinned(lab: Lab) -> None:
    source(lab, A)
    text = changes(lab)
    lab.prepare(text).sink("out")
    lab.append("src", B)
    first = lab.prepare(text)
    first.sink("out")
    lab.append("src", C)
    again = lab.prepare(text, run_key=first.run.run_key).sink("out")
    assert again.repeated
    assert lab.rows("out") == [A, B]
