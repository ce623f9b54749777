"""D4: where a sink stands in its sources survives compaction, foreign commits and expiry, and is never guessed."""

from __future__ import annotations

import json

import pytest
from lab import Lab, iceberg, sink, sql

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.positions import POSITIONS, PositionLost, reset_property
from drls_dagster.ledger import PublishRecord
from drls_dagster.runs.memory import RunMemory

A, B, C, D = (1, "a"), (2, "b"), (3, "c"), (4, "d")
OTHER = (9, "other")


def incremental(lab: Lab, mode: str = "append", **more: object) -> str:
    return lab.pipeline(
        iceberg("raw", lab.named("src"), "incremental"), sink("out", lab.named("out"), mode, **more), flow="raw>out"
    )


def source(lab: Lab, *rows: tuple[int, str]) -> int:
    lab.create("src", id="long", name="string")
    return lab.append("src", *rows)


def compact(lab: Lab, table: str) -> None:
    """Spark's own: a commit of operation `replace` without any of our keys."""
    name = ".".join(lab.identifier(table))
    lab.sql(
        f"CALL {lab.settings.catalog.name}.system.rewrite_data_files("
        f"table => '{name}', options => map('rewrite-all', 'true'))"
    )
    current = lab.table(table).current_snapshot()
    assert current is not None
    assert current.summary is not None
    assert current.summary.operation.value == "replace"


def expire_all_but_head(lab: Lab, table: str) -> None:
    found = lab.table(table)
    old = [one.snapshot_id for one in found.metadata.snapshots if one.snapshot_id != refs.head(found, "main")]
    with found.maintenance.expire_snapshots() as expire:
        expire.by_ids(old)
    assert len(lab.table(table).metadata.snapshots) == 1


def spark_expire(lab: Lab, table: str, snapshot: int | None) -> None:
    """Java's expiry, which keeps the parent of what came next."""
    name = ".".join(lab.identifier(table))
    catalog = lab.settings.catalog.name
    lab.sql(f"CALL {catalog}.system.expire_snapshots(table => '{name}', snapshot_ids => ARRAY({snapshot}))")
    assert lab.table(table).snapshot_by_id(snapshot or 0) is None


def forget_history(lab: Lab, table: str) -> None:
    """Expiry, and older metadata files gone too."""
    expire_all_but_head(lab, table)
    for _ in range(2):
        with lab.table(table).transaction() as change:
            change.set_properties({"write.metadata.previous-versions-max": "1", "n": str(_)})
    assert len(lab.table(table).metadata.metadata_log) == 1


def test_d4_the_position_is_in_the_summary_and_survives_compaction_and_a_foreign_append(lab: Lab) -> None:
    read_to = source(lab, A)
    text = incremental(lab)
    lab.prepare(text).sink("out")
    uuid = str(lab.table("src").metadata.table_uuid)
    assert json.loads(lab.summary("out")[POSITIONS]) == {uuid: read_to}
    (record,) = lab.ledger.publishes(str(lab.table("out").metadata.table_uuid))
    assert (record.positions, record.step) == ({uuid: read_to}, "out")

    lab.append("out", OTHER)
    compact(lab, "out")
    lab.append("src", B)
    done = lab.prepare(text).sink("out")

    assert done.reads["raw"].start == read_to
    assert lab.rows("out") == [A, B, OTHER]


@pytest.mark.parametrize("expiry", ["pyiceberg", "spark"])
def test_d4_after_expiry_publish_records_and_older_metadata_tell_the_position(lab: Lab, expiry: str) -> None:
    read_to = source(lab, A)
    text = incremental(lab)
    lab.prepare(text).sink("out")
    carrier = refs.head(lab.table("out"), "main")
    compact(lab, "out")
    if expiry == "pyiceberg":
        expire_all_but_head(lab, "out")
    else:
        spark_expire(lab, "out", carrier)
    lab.append("src", B)
    done = lab.prepare(text).sink("out")
    assert done.reads["raw"].start == read_to
    assert lab.rows("out") == [A, B]


def test_d4_a_position_that_nothing_tells_any_more_fails_with_the_remedy_until_it_is_reset(lab: Lab) -> None:
    source(lab, A)
    text = incremental(lab)
    lab.prepare(text).sink("out")
    lab.append("out", OTHER)
    compact(lab, "out")
    forget_history(lab, "out")  # the snapshot that the record names is no known ancestor any more
    lab.append("src", B)
    out, src = (".".join(lab.identifier(name)) for name in ("out", "src"))

    with pytest.raises(
        PositionLost, match=rf"no longer records how far .* `drls table reset-position {out} {src} --to "
    ):
        lab.prepare(text).sink("out")
    assert lab.rows("out") == [A, OTHER]

    table = lab.table("src")
    first = table.metadata.snapshots[0].snapshot_id
    reset = reset_property(str(table.metadata.table_uuid), refs.head(lab.table("out"), "main"), first)
    with lab.table("out").transaction() as change:
        change.set_properties(dict(reset))
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [A, B, OTHER]
    lab.append("src", C)
    lab.prepare(text).sink("out")  # goes on from its own commit, not from the reset
    assert lab.rows("out") == [A, B, C, OTHER]


def test_d4_a_table_of_another_home_whose_history_was_expired_is_not_read_in_full_again(lab: Lab) -> None:
    source(lab, A)
    text = incremental(lab)
    lab.prepare(text).sink("out")
    compact(lab, "out")
    expire_all_but_head(lab, "out")
    lab.append("src", B)
    step = lab.prepare(text)
    step.run.memory = NoPublishes(step.run.memory)
    step.sink("out")
    assert lab.rows("out") == [A, B]  # older metadata files still have the summary

    compact(lab, "out")
    forget_history(lab, "out")
    step = lab.prepare(text)
    step.run.memory = NoPublishes(step.run.memory)
    with pytest.raises(PositionLost, match="reset-position"):
        step.sink("out")


def test_d4_two_sinks_at_different_positions_each_get_their_own_rows(lab: Lab) -> None:
    source(lab, A)
    text = lab.pipeline(
        iceberg("raw", lab.named("src"), "incremental"),
        sql("clean", "SELECT id, upper(name) AS name FROM raw"),
        sink("one", lab.named("one")),
        sink("two", lab.named("two")),
        flow="raw>clean>one, clean>two",
    )
    lab.prepare(text).sink("one")
    lab.append("src", B)
    ran = lab.run(text)
    assert ran.success, ran.failures
    assert lab.rows("one") == lab.rows("two") == [(1, "A"), (2, "B")]
    assert (ran.tables["one"]["rows_added"], ran.tables["two"]["rows_added"]) == (1, 2)


def test_d4_an_append_stops_where_its_source_was_dropped_and_made_anew(lab: Lab) -> None:
    source(lab, A)
    text = incremental(lab)
    lab.prepare(text).sink("out")
    lab.catalog.drop_table(lab.identifier("src"))
    source(lab, A, B)
    with pytest.raises(PositionLost, match=r"was recreated .* so all its rows would be appended again; .*reset-posi"):
        lab.prepare(text).sink("out")
    assert lab.rows("out") == [A]


def test_d4_no_new_rows_is_a_run_that_adds_nothing_and_keeps_the_position(lab: Lab) -> None:
    source(lab, A)
    text = incremental(lab)
    for _ in range(3):
        lab.prepare(text).sink("out")
    lab.append("src", B)
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [A, B]


class NoPublishes(RunMemory):
    """What a run remembers in a home that has not run this pipeline before."""

    def __init__(self, real: RunMemory) -> None:
        super().__init__(real._client, real._executing)

    def publishes(self, table: str, table_uuid: str) -> list[PublishRecord]:
        return []
