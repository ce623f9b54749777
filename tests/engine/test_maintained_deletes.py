"""Maintenance of tables with deletes that Spark wrote and deletes by equality: Spark reads the same rows at every ref."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lab import Lab

from drls_dagster.engine.session import open_session
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.maintenance import compact, expire, manifests
from drls_dagster.maintenance.compact import spark
from drls_dagster.maintenance.work import Cancelled, Keep, Work
from lifecycle.domain.operations import CompactOptions, ExpireOptions, ManifestOptions, Progress
from tests.drls_dagster.maintenance.compacting import delete_equal, live, work

PROPERTIES = ", ".join(
    f"'{name}'='{value}'"
    for name, value in {
        "format-version": "2",
        "write.delete.mode": "merge-on-read",
        "write.update.mode": "merge-on-read",
        "write.merge.mode": "merge-on-read",
    }.items()
)


def numbers(*found: int | None) -> pa.Table:
    return pa.table({"n": pa.array(found, pa.int64())})


@pytest.mark.slow
def test_every_ref_of_a_table_with_deletes_of_spark_and_by_equality_keeps_its_rows(lab: Lab, tmp_path: Path) -> None:
    lab.catalog.create_namespace_if_not_exists(lab.identifier("t")[:1])
    name = lab.spark_name("t")
    lab.sql(
        f"CREATE TABLE {name} (n BIGINT, s STRING, at TIMESTAMP, money DECIMAL(9,2), x DOUBLE) USING iceberg "
        f"PARTITIONED BY (s) TBLPROPERTIES ({PROPERTIES})"
    )
    for start in (0, 40, 80):
        lab.sql(
            f"INSERT INTO {name} SELECT id, concat('p', id % 3), timestamp_seconds(id * 1e6), id / 7, "
            f"IF(id % 11 = 0, DOUBLE('NaN'), IF(id % 13 = 0, -0.0D, id)) FROM range({start}, {start + 40})"
        )
    lab.sql(f"DELETE FROM {name} WHERE n % 7 = 0")
    lab.sql(f"UPDATE {name} SET money = -1 WHERE n % 10 = 1")
    lab.sql(f"INSERT INTO {name} VALUES (NULL, 'p0', NULL, NULL, NULL), (NULL, 'p1', NULL, NULL, NULL)")
    lab.sql(f"ALTER TABLE {name} CREATE TAG kept")
    lab.sql(f"ALTER TABLE {name} CREATE BRANCH b")
    [like, *_] = [one for one in live(lab.table("t")) if "s=p1" in one.file_path]
    table_name = ".".join(lab.identifier("t"))
    delete_equal(lab.catalog, table_name, numbers(4, 5, None, 1000), like)
    delete_equal(lab.catalog, table_name, numbers(8, 9, 10), like, ref="b")
    with lab.table("t").update_spec() as spec:
        spec.remove_field("s")
    unpartitioned = next(at for at, one in lab.table("t").specs().items() if not one.fields)
    delete_equal(lab.catalog, table_name, numbers(20, 21, 22), spec_id=unpartitioned)
    lab.sql(f"INSERT INTO {name} VALUES (4, 'p1', NULL, 1, 1), (20, 'p2', NULL, 1, 1)")
    before = {ref: seen(lab, name, ref) for ref in ("main", "b", "kept")}
    assert 4 in {row["n"] for row in lab.sql(f"SELECT n FROM {name}")}
    assert deletes(lab, name) == {1, 2}

    for ref in ("b", "main"):
        made = compact.execute(at_ref(lab, table_name, tmp_path, ref), CompactOptions(all=True))
        assert made.applied_deletes > 0
        assert {each: seen(lab, name, each) for each in before} == before
    for ref in ("b", "main"):
        manifests.execute(at_ref(lab, table_name, tmp_path, ref), ManifestOptions())
        assert {each: seen(lab, name, each) for each in before} == before
    options = ExpireOptions(retain_last=1, older_than=datetime.now(UTC) + timedelta(days=1))
    gone = expire.execute(at_ref(lab, table_name, tmp_path), options)

    assert gone.expired_count > 0
    assert {each: seen(lab, name, each) for each in before} == before
    assert deletes(lab, name) == set()


@pytest.mark.slow
def test_a_table_of_format_version_3_is_compacted_by_spark(lab: Lab, tmp_path: Path) -> None:
    lab.catalog.create_namespace_if_not_exists(lab.identifier("t")[:1])
    name = lab.spark_name("t")
    modes = "'format-version'='3', 'write.delete.mode'='merge-on-read'"
    lab.sql(f"CREATE TABLE {name} (n BIGINT, `o'dd` STRING) USING iceberg TBLPROPERTIES ({modes})")
    for start in range(0, 60, 10):
        lab.sql(f"INSERT INTO {name} SELECT id, concat('s', id) FROM range({start}, {start + 10})")
    lab.sql(f"DELETE FROM {name} WHERE n % 10 = 3")
    lab.sql(f"ALTER TABLE {name} CREATE BRANCH `b c`")
    lab.sql(f"INSERT INTO {name} VALUES (100, 'new')")
    before = {ref: lineage(lab, name, ref) for ref in ("main", "b c")}
    table_name = ".".join(lab.identifier("t"))

    files = {ref: len(live(lab.table("t"), ref)) for ref in before}
    planned = compact.plan(lab.table("t"), "b c", CompactOptions(), Keep())
    made = compact.execute(at_ref(lab, table_name, tmp_path, "b c"), CompactOptions())

    assert planned.needed
    assert "which is started if it does not run: it has format version 3" in planned.reasons[-1]
    assert (made.rewritten_files, made.new_files, made.applied_deletes) == (files["b c"], 1, 6)
    assert {ref: lineage(lab, name, ref) for ref in before} == before
    assert made.snapshot == refs.head(lab.table("t"), "b c")
    assert made.new_bytes > 0
    options = CompactOptions(strategy="zorder", columns=("n", "o'dd"))
    assert compact.execute(at_ref(lab, table_name, tmp_path), options).rewritten_files == files["main"]
    assert {ref: lineage(lab, name, ref) for ref in before} == before
    assert deletes(lab, name) == set()
    again = compact.execute(at_ref(lab, table_name, tmp_path), CompactOptions())
    assert (again.rewritten_files, again.snapshot) == (0, None)


@pytest.mark.slow
def test_after_a_cancellation_in_spark_every_row_is_there_and_the_next_one_completes_it(
    lab: Lab, tmp_path: Path
) -> None:
    lab.catalog.create_namespace_if_not_exists(lab.identifier("t")[:1])
    name = lab.spark_name("t")
    lab.sql(f"CREATE TABLE {name} (n BIGINT) USING iceberg TBLPROPERTIES ('format-version'='3')")
    for start in range(5):
        lab.sql(f"INSERT INTO {name} SELECT id FROM range({start}, {start + 5})")
    table_name = ".".join(lab.identifier("t"))
    before = lineage(lab, name, "main")
    made = at_ref(lab, table_name, tmp_path)
    sessions: list[str] = []

    def cancel(_: Progress) -> None:
        notes = made.journal.notes(spark.NOTE)
        sessions.extend(one.facts["session"] for one in notes)
        if notes:
            raise Cancelled("somebody cancelled the operation")

    made.told = cancel
    with pytest.raises(Cancelled):
        compact.execute(made, CompactOptions())
    assert made.journal.notes(spark.NOTE) == []
    assert lineage(lab, name, "main") == before
    # As after a kill: one session that has ended since, and one that is still there.
    made.journal.note(spark.NOTE, session=sessions[0], engine=lab.session.engine_id)
    left = open_session(lab.settings)
    made.journal.note(spark.NOTE, session=left.session_id, engine=left.engine_id)

    compact.execute(at_ref(lab, table_name, tmp_path), CompactOptions())

    assert made.journal.notes(spark.NOTE) == []
    assert lineage(lab, name, "main") == before
    assert len(lab.sql(f"SELECT 1 FROM {name}.files")) == 1


@pytest.mark.slow
def test_a_branch_that_is_published_under_a_permit_is_not_compacted_by_spark(lab: Lab, tmp_path: Path) -> None:
    lab.catalog.create_namespace_if_not_exists(lab.identifier("t")[:1])
    name = lab.spark_name("t")
    lab.sql(f"CREATE TABLE {name} (n BIGINT) USING iceberg TBLPROPERTIES ('format-version'='3')")
    lab.sql(f"INSERT INTO {name} VALUES (1)")
    made = replace(at_ref(lab, ".".join(lab.identifier("t")), tmp_path), governed=True)

    with pytest.raises(DrlsError, match="has format version 3, which only Spark can write"):
        compact.execute(made, CompactOptions(all=True))


def lineage(lab: Lab, name: str, ref: str) -> list[str]:
    """The rows with what version 3 keeps of each: its id, and the commit that last changed it."""
    query = f"SELECT *, _row_id, _last_updated_sequence_number FROM {name} VERSION AS OF '{ref}'"
    return sorted(map(str, lab.sql(query)))


def seen(lab: Lab, name: str, ref: str) -> list[str]:
    return sorted(map(str, lab.sql(f"SELECT *, hash(*) FROM {name} VERSION AS OF '{ref}'")))


def deletes(lab: Lab, name: str) -> set[int]:
    """The kinds of delete files on main."""
    return {row["content"] for row in lab.sql(f"SELECT content FROM {name}.delete_files")}


def at_ref(lab: Lab, name: str, folder: Path, ref: str = "main") -> Work:
    made: Any = work(lab.catalog, lab.catalog.load_table(name), folder, ref)
    return replace(made, settings=lab.settings)
