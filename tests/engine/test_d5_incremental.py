"""D5: an incremental read takes what was appended, and refuses what "appended" does not describe."""

from __future__ import annotations

import pytest
from lab import Lab, iceberg, sink
from pyiceberg.expressions import EqualTo
from test_d4_positions import A, B, C, D, compact, incremental, source, spark_expire

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.positions import NotIncremental, PositionLost


def roll_back(lab: Lab, table: str, to: int) -> None:
    name = ".".join(lab.identifier(table))
    lab.sql(f"CALL {lab.settings.catalog.name}.system.rollback_to_snapshot('{name}', {to})")


def test_d5_a_compaction_between_two_incremental_reads_gives_exactly_the_new_rows(lab: Lab) -> None:
    source(lab, A)
    text = incremental(lab)
    lab.prepare(text).sink("out")
    lab.append("src", B)
    compact(lab, "src")
    lab.append("src", C)
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [A, B, C]
    compact(lab, "src")
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [A, B, C]


@pytest.mark.parametrize("kind", ["overwrite", "delete"])
def test_d5_another_change_in_between_fails_naming_the_snapshot_and_the_remedy(lab: Lab, kind: str) -> None:
    source(lab, A, B)
    text = incremental(lab)
    lab.prepare(text).sink("out")
    lab.append("src", C)
    table = lab.table("src")
    if kind == "delete":
        lab.sql(f"DELETE FROM {lab.spark_name('src')} WHERE id = 3")  # a whole file: operation delete
    else:
        table.delete(EqualTo("id", 1))  # a row of a file that has two: the file is written anew
    (change,) = (
        one for one in lab.table("src").metadata.snapshots if one.summary and one.summary.operation.value == kind
    )
    lab.append("src", D)
    with pytest.raises(NotIncremental) as failed:
        lab.prepare(text).sink("out")
    assert f"snapshot {change.snapshot_id} of " in str(failed.value)
    assert f"of kind {kind}" in str(failed.value)
    assert "read it in full (read: full)" in str(failed.value)
    assert lab.rows("out") == [A, B]


def test_d5_after_a_rollback_of_the_source_a_merge_reads_again_from_the_common_ancestor(lab: Lab) -> None:
    common = source(lab, A)
    text = incremental(lab, "merge", keys=["id"])
    lab.prepare(text).sink("out")
    lab.append("src", (2, "wrong"))
    lab.prepare(text).sink("out")
    roll_back(lab, "src", common)
    lab.append("src", B)
    lab.append("src", C)
    done = lab.prepare(text).sink("out")
    assert done.reads["raw"].start == common
    assert lab.rows("out") == [A, B, C]


def test_d5_after_a_rollback_of_the_source_an_append_stops_with_the_remedy(lab: Lab) -> None:
    common = source(lab, A)
    text = incremental(lab)
    lab.prepare(text).sink("out")
    read_to = lab.append("src", B)
    lab.prepare(text).sink("out")
    roll_back(lab, "src", common)
    lab.append("src", C)
    with pytest.raises(
        NotIncremental, match=rf"rolled back to before snapshot {read_to}, .*`drls table reset-position "
    ):
        lab.prepare(text).sink("out")
    assert lab.rows("out") == [A, B]


def test_d5_a_source_whose_read_snapshots_were_expired_goes_on_where_that_is_certain(lab: Lab) -> None:
    read_to = source(lab, A)
    text = incremental(lab)
    lab.prepare(text).sink("out")
    lab.append("src", B)
    spark_expire(lab, "src", read_to)
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [A, B]


def test_d5_a_source_whose_unread_snapshots_were_expired_fails_with_the_remedy(lab: Lab) -> None:
    read_to = source(lab, A)
    text = incremental(lab)
    lab.prepare(text).sink("out")
    unread = lab.append("src", B)
    lab.append("src", C)
    with lab.table("src").maintenance.expire_snapshots() as expire:
        expire.by_ids([read_to, unread])
    with pytest.raises(PositionLost, match=rf"no longer has snapshot {read_to}, .*`drls table reset-position "):
        lab.prepare(text).sink("out")
    assert lab.rows("out") == [A]


def test_d5_an_incremental_read_of_a_source_that_is_still_empty_reads_all_when_rows_come(lab: Lab) -> None:
    lab.create("src", id="long", name="string")
    text = incremental(lab)
    ran = lab.run(text)
    assert ran.success, ran.failures
    assert lab.rows("out") == []
    lab.append("src", A)
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [A]


def test_d5_a_column_that_the_source_gained_in_between_is_read_with_its_values(lab: Lab) -> None:
    source(lab, A)
    text = lab.pipeline(iceberg("raw", lab.named("src"), "incremental"), sink("out", lab.named("out")), flow="raw>out")
    lab.prepare(text).sink("out")
    lab.append("src", B)
    with lab.table("src").update_schema() as change:
        from pyiceberg.types import LongType

        change.add_column("score", LongType())
    lab.append("src", (3, "c", 30))
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [(1, "a", None), (2, "b", None), (3, "c", 30)]
    assert refs.head(lab.table("out"), "main") is not None
