"""Receipts say how many rows were read of each source: exactly, or that nobody can say (finding 24)."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lab import Lab, Node, custom, iceberg, python, ray, sink, sql

from drls_dagster.steps.sources.files.framing import PRUNED
from drls_dagster.steps.sources.tally import LIMITED, SORTED, RowsRead

SCHEMA = {"id": "int", "who": "string"}
SEVEN = "id,who\n" + "".join(f"{at},w{at % 2}\n" for at in range(7))


def files(lab: Lab, node: str, kind: str, path: str, schema: dict[str, str] | None = SCHEMA, **options: Any) -> Node:
    found: dict[str, Any] = {"kind": "files", "format": kind, "path": lab.path(path), "options": options}
    return {"id": node, "type": "source", "source": {**found, **({"schema": schema} if schema else {})}}


def put(lab: Lab) -> None:
    (lab.landing / "h/day=2024-01-01").mkdir(parents=True)
    (lab.landing / "h/day=2024-01-02").mkdir()
    lab.file("a.csv", SEVEN)
    lab.file("b.csv", "who,id\nx,7\ny,8\n")
    lab.file("none.csv", "id,who\n")
    lab.file("a.json", "".join(json.dumps({"id": at, "who": "a"}) + "\n" for at in range(5)))
    lab.file("pretty.json", json.dumps([{"id": 9, "who": "b"}], indent=1))
    pq.write_table(pa.table({"id": pa.array([1, 2, 3], pa.int32()), "who": ["a", "b", "c"]}), lab.landing / "a.parquet")
    lab.file("h/day=2024-01-01/a.csv", "id\n1\n")
    lab.file("h/day=2024-01-02/a.csv", "id\n1\n2\n")


def counts(
    lab: Lab, sources: list[Node], query: str, mode: str = "overwrite", table: str = "out", **more: Any
) -> dict[str, RowsRead]:
    names = [node["id"] for node in sources]
    flow = ", ".join(f"{name}>step" for name in names) + ", step>out"
    text = lab.pipeline(*sources, sql("step", query), sink("out", lab.named(table), mode, **more), flow=flow)
    return dict(lab.prepare(text).sink("out").rows_read)


@pytest.mark.slow
def test_rows_of_files_are_counted_while_they_are_read_whatever_the_query_does_with_them(lab: Lab) -> None:
    put(lab)
    texts = [files(lab, "c", "csv", "*.csv", header=True), files(lab, "j", "json", "*.json")]
    all_three = [*texts, files(lab, "p", "parquet", "a.parquet")]
    expected = {"c": RowsRead(9), "j": RowsRead(6), "p": RowsRead(3)}
    query = "SELECT c.id, j.who FROM c JOIN j USING (id) JOIN p USING (id) WHERE c.who <> 'nobody'"
    assert counts(lab, all_three, query) == expected
    assert counts(lab, texts[:1], "SELECT one.id FROM c one JOIN c two USING (id)") == {"c": RowsRead(9)}
    query = "SELECT id, max(who) AS who FROM c GROUP BY id"
    for _ in range(2):  # the second time, rows match
        assert counts(lab, texts[:1], query, "merge", keys=["id"]) == {"c": RowsRead(9)}
    assert counts(lab, [files(lab, "c", "csv", "none.csv", header=True)], "SELECT * FROM c") == {"c": RowsRead(0)}


@pytest.mark.slow
def test_rows_of_tables_are_what_their_snapshots_say_and_of_changes_what_changed(lab: Lab) -> None:
    lab.create("src", id="int", who="string")
    lab.append("src", (1, "a"), (2, "b"))
    full, new = iceberg("s", lab.named("src")), iceberg("s", lab.named("src"), "incremental")
    assert counts(lab, [new], "SELECT * FROM s", "merge", keys=["id"]) == {"s": RowsRead(2)}
    lab.append("src", (3, "c"))
    lab.append("src", (4, "d"), (5, "e"))
    assert counts(lab, [new], "SELECT * FROM s", "merge", keys=["id"]) == {"s": RowsRead(3)}
    assert counts(lab, [new], "SELECT * FROM s", "merge", keys=["id"]) == {"s": RowsRead(0)}
    assert counts(lab, [full], "SELECT * FROM s WHERE id = 1") == {"s": RowsRead(5)}


@pytest.mark.slow
def test_where_nobody_can_say_how_many_rows_were_read_the_receipt_says_why(lab: Lab) -> None:
    put(lab)
    found = counts(lab, [files(lab, "h", "csv", "h/*/*.csv", {"id": "int"}, header=True)], "SELECT id FROM h")
    assert found == {"h": RowsRead(why=PRUNED)}
    lab.create("del", id="int")
    lab.append("del", (1,), (2,), (3,))
    name = lab.spark_name("del")
    lab.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('write.delete.mode' = 'merge-on-read', 'format-version' = '2')")
    lab.sql(f"DELETE FROM {name} WHERE id = 2")
    (read,) = counts(lab, [iceberg("d", lab.named("del"))], "SELECT id FROM d").values()
    assert read.rows is None
    assert read.why.startswith("the table has delete files")


@pytest.mark.slow
def test_nobody_says_how_many_rows_were_read_where_spark_reads_a_sample_first(lab: Lab) -> None:
    """Failed before: twice as many, as Spark counts the rows that it reads for the sample as well."""
    put(lab)
    source = [files(lab, "c", "csv", "*.csv", header=True)]
    known = {"c": RowsRead(why=SORTED)}
    assert counts(lab, source, "SELECT * FROM c ORDER BY who") == known
    assert counts(lab, source, "SELECT /*+ REPARTITION_BY_RANGE(3, id) */ * FROM c") == known
    query = "SELECT *, row_number() OVER (PARTITION BY who ORDER BY id) AS n FROM c SORT BY id"
    assert counts(lab, source, query) == {"c": RowsRead(9)}
    assert counts(lab, source, "SELECT id, who FROM c", table="sorted", sort_by=["id"]) == known


@pytest.mark.slow
def test_below_a_limit_nobody_says_how_many_rows_were_read(lab: Lab) -> None:
    """Failed before: a number that was too small, as Spark stops reading once it has enough rows."""
    put(lab)
    both = [files(lab, "c", "csv", "*.csv", header=True), files(lab, "p", "parquet", "a.parquet")]
    known = {"c": RowsRead(why=LIMITED), "p": RowsRead(3)}
    assert counts(lab, both, "SELECT p.id FROM p CROSS JOIN (SELECT * FROM c LIMIT 2)") == known
    assert counts(lab, both, "SELECT c.id FROM c TABLESAMPLE (2 ROWS) CROSS JOIN p") == known
    assert counts(lab, both[:1], "SELECT id, 'a limit' AS `limit` FROM c -- no LIMIT") == {"c": RowsRead(9)}
    text = lab.pipeline(
        both[0],
        python("some", "def transform(spark, c):\n    return c.limit(2)"),
        sql("kept", "SELECT id FROM some"),
        sink("out", lab.named("out"), "overwrite"),
        flow="c>some>kept>out",
    )
    assert lab.prepare(text).sink("out").rows_read == {"c": RowsRead(why=LIMITED)}


@pytest.mark.slow
def test_rows_that_a_ray_step_read_are_kept_with_its_output(lab: Lab) -> None:
    put(lab)
    text = lab.pipeline(
        files(lab, "c", "csv", "*.csv", header=True),
        ray("step", "def process(batch): return batch", **SCHEMA),
        sink("out", lab.named("out"), "overwrite"),
        flow="c>step>out",
    )
    first = lab.prepare(text)
    assert first.sink("out").rows_read == {"c": RowsRead(9)}
    other = lab.prepare(text, run_key=first.run.run_key)  # resumes it in another session, and reads nothing again
    reads = other.run.reads_of("step")
    other.frames.frame("step", reads)
    assert other.frames.rows_read("step", reads, other.frames.watch("step", reads)) == {"c": RowsRead(9)}


@pytest.mark.slow
def test_rows_that_a_command_read_are_kept_with_its_output(lab: Lab) -> None:
    """Failed before: of a pipeline with a command nobody said how many rows were read, or why not."""
    put(lab)
    text = lab.pipeline(
        files(lab, "c", "csv", "*.csv", header=True),
        files(lab, "p", "parquet", "a.parquet"),
        custom("step", "bash", "-c", "cp inputs/c/*.parquet output", output_schema=SCHEMA),
        sink("out", lab.named("out"), "overwrite"),
        flow="c>step>out, p>step",
    )
    assert lab.prepare(text).sink("out").rows_read == {"c": RowsRead(9), "p": RowsRead(3)}


@pytest.mark.slow
def test_dagster_shows_the_rows_next_to_the_files(lab: Lab) -> None:
    put(lab)
    text = lab.pipeline(
        files(lab, "c", "csv", "*.csv", header=True), sink("out", lab.named("out"), "overwrite"), flow="c>out"
    )
    (inputs,) = (one["inputs"] for one in lab.run(text).tables.values())
    assert inputs["c"] == {"read": "3 file(s), 64 bytes", "rows": 9}
