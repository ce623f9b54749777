"""D1: what a run reads is pinned once. D2: frames and sessions belong to one run."""

from __future__ import annotations

import os

import pytest
from lab import Lab, files, iceberg, on, ray, sink, sql

from drls_dagster.steps.sources.pins import SourceMissing

MARKED = """
import uuid
import pyarrow as pa
def process(batch):
    return batch.append_column("mark", pa.array([uuid.uuid4().hex] * batch.num_rows))
"""


def test_d1_two_sinks_see_the_same_rows_although_the_source_moves_between_them(lab: Lab) -> None:
    lab.create("src", id="long")
    lab.append("src", (1,))
    text = lab.pipeline(
        iceberg("raw", lab.named("src")),
        sql("clean", "SELECT id FROM raw"),
        sink("one", lab.named("one"), "overwrite"),
        sink("two", lab.named("two"), "overwrite"),
        flow="raw>one, raw>clean>two",
    )
    step = lab.prepare(text)
    step.sink("one", on("branched", lambda: lab.append("src", (2,))))
    step.sink("two", on("branched", lambda: lab.append("src", (3,))))
    assert lab.rows("one") == lab.rows("two") == [(1,)]
    # cache-enabled=false: what PyIceberg committed before a run is seen by the same engine, and so is a rewrite.
    lab.prepare(text).sink("two")
    assert lab.rows("two") == [(1,), (2,), (3,)]


def test_d1_as_of_reads_an_earlier_snapshot(lab: Lab) -> None:
    lab.create("src", id="long")
    first = lab.append("src", (1,))
    lab.append("src", (2,))
    text = lab.pipeline(
        iceberg("raw", lab.named("src"), "as_of", snapshot=str(first)),
        sink("out", lab.named("out"), "overwrite"),
        flow="raw>out",
    )
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [(1,)]


def one_file(lab: Lab) -> str:
    lab.file("a.csv", "id\n1\n")
    return lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        sql("clean", "SELECT id FROM raw"),
        sink("out", lab.named("out"), "overwrite"),
        flow="raw>clean>out",
    )


def test_d1_a_file_that_comes_later_is_not_read_by_this_run_and_is_by_the_next(lab: Lab) -> None:
    text = one_file(lab)
    lab.prepare(text).sink("out", on("branched", lambda: lab.file("b.csv", "id\n2\n")))
    assert lab.rows("out") == [(1,)]
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [(1,), (2,)]


@pytest.mark.parametrize("change", ["before the read", "while it is read", "removed while it is read", "same size"])
def test_d1_a_file_that_changes_after_the_pin_fails_naming_it(lab: Lab, change: str) -> None:
    text = one_file(lab)
    step = lab.prepare(text)
    path = lab.landing / "a.csv"

    def alter() -> None:
        if change.startswith("removed"):
            path.unlink()
        elif change == "same size":
            path.write_text("id\n7\n")
            os.utime(path, ns=(1, 1))
        else:
            path.write_text("id\n1\n2\n")

    hook = on("branched", alter)
    if change == "before the read":
        step.run.reads_of("out")
        alter()
        hook = on("never", alter)
    with pytest.raises(SourceMissing, match=r"node 'raw': .*a\.csv (changed since|was removed while)"):
        step.sink("out", hook)
    if change != "before the read":
        assert lab.rows("out") == []
        assert lab.branches("out") == []


def test_d2_a_ray_output_is_made_once_for_two_sinks_and_a_resumed_run(lab: Lab) -> None:
    lab.file("a.csv", "id\n1\n2\n")
    text = lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        ray("worked", MARKED, id="long", mark="string"),
        sql("last", "SELECT id, mark, assert_true(id < :limit, 'too much') IS NULL AS ok FROM worked"),
        sink("one", lab.named("one"), "overwrite"),
        sink("two", lab.named("two"), "overwrite"),
        sink("three", lab.named("three"), "overwrite"),
        flow="raw>worked>one, worked>two, worked>last>three",
        parameters={"limit": {"type": "integer", "default": 2}},
    )
    first = lab.run(text)
    assert not first.success
    assert first.failure.startswith("node 'three': ")
    assert "too much" in first.failure
    made = lab.rows("one", "id", "mark")
    assert [row[0] for row in made] == [1, 2]
    assert lab.rows("two", "id", "mark") == made
    resumed = lab.run(text, resume=first.run_id, params={"limit": 3})
    assert resumed.success, resumed.failures
    assert lab.rows("three", "id", "mark") == made
    lab.run(text, params={"limit": 3}, select=["worked", "one"])
    assert lab.rows("one", "id", "mark") != made


def test_d2_views_and_settings_of_one_run_are_not_seen_by_another_and_frames_are_built_once(lab: Lab) -> None:
    text = one_file(lab)
    one, two = lab.prepare(text), lab.prepare(text)
    reads = one.run.reads_of("clean")
    assert one.frames.frame("clean", reads) is one.frames.frame("clean", reads)
    one.run.session.spark.sql("SELECT 1 AS x").createOrReplaceTempView("mine")
    one.run.session.spark.conf.set("spark.sql.shuffle.partitions", "77")
    seen = two.run.session.spark
    assert [row.tableName for row in seen.sql("SHOW VIEWS").collect()] == []
    assert seen.conf.get("spark.sql.shuffle.partitions") != "77"
    assert seen.conf.get("spark.sql.session.timeZone") == "UTC"
    assert seen.sql("SELECT CAST(TIMESTAMP '2024-01-01 00:00:00' AS LONG) AS t").collect()[0].t == 1_704_067_200
