"""Runs through Dagster: parameters, subsets, empty results, and failures that say in one line what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Lab, Node, files, python, ray, sink, sql


def through(lab: Lab, step: Node, mode: str = "overwrite", **more: Any) -> str:
    lab.file("a.csv", "id,n\n1,10\n2,0\n")
    return lab.pipeline(
        files("raw", lab.path("*.csv"), id="long", n="int"), step, sink("out", lab.named("out"), mode),
        flow=f"raw>{step['id']}>out", **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (sql("step", "SELECT gone FROM raw"), "node 'step', at gone: there is no column 'gone'; columns there are: "),
        (sql("step", "SELECT id / n AS x FROM raw"), "at id / n: a value is divided by zero; use try_divide"),
        (sql("step", "SELECT *, NULL AS nothing FROM raw"), "column 'nothing' has no type (it is always null)"),
        (python("step", "def transform(spark, raw): return 1 / 0"), "transform() of node 'step' failed: ZeroDivision"),
        (
            python("step", "def transform(spark, raw): return 7"),
            "transform() of node 'step' returned int, not a DataFr",
        ),
        (
            ray("step", "def process(batch): raise KeyError('k')", id="long"),
            "process() of node 'step' failed: KeyError",
        ),
        (
            ray("step", "def process(batch): return batch", id="long"),
            "the output of node 'step' has extra columns n; output_",
        ),
        (
            ray("step", "def process(batch): return batch", id="long", n="binary"),
            "column 'n' of node 'step' is int32, whi",
        ),
        (
            ray("step", "def process(batch): return batch", id="long", n="int", x="int"),
            "the output of node 'step' lacks",
        ),
        (
            ray("step", "import os\ndef process(batch): os._exit(3)", id="long"),
            "node 'step' failed on Ray: its host ended 4 times without an answer: ",
        ),
        (
            {**ray("step", "def process(batch): return batch", id="long"), "resources": {"cpus": 1000}},
            "node 'step' needs 1000 CPU and 0 GPU for each worker; Ray has ",
        ),
        (python("step", "import nothing_of_that_name\ndef transform(spark, raw): ..."), "failed: ModuleNotFoundError"),
    ],
)
def test_a_failure_says_in_one_line_what_is_wrong_and_publishes_nothing(lab: Lab, step: Node, told: str) -> None:
    ran = lab.run(through(lab, step))
    assert not ran.success
    assert told in ran.failure, ran.failure
    assert len(ran.failure) < 600
    assert not any(word in ran.failure for word in ("\n", "org.apache", "Traceback", "JVM"))
    assert not lab.catalog.table_exists(lab.identifier("out")) or lab.rows("out") == []


def test_a_function_on_ray_sees_each_type_as_the_output_schema_names_it_and_dates_that_are_far_away(lab: Lab) -> None:
    lab.file("a.csv", "id\n1\n")
    code = """
import pyarrow as pa

def process(batch):
    assert batch.schema.field("until").type == pa.timestamp("us", tz="UTC"), batch.schema
    assert batch["until"][0].as_py().year == 9999, batch
    return batch
"""
    ran = lab.run(
        lab.pipeline(
            files("raw", lab.path("*.csv"), id="long"),
            sql("until", "SELECT id, timestamp'9999-12-31 00:00:00' AS until FROM raw"),
            ray("seen", code, id="long", until="timestamp"),
            sink("out", lab.named("out"), "overwrite"),
            flow="raw>until>seen>out",
        )
    )
    assert ran.success, ran.failures
    assert [(one, until.year) for one, until in lab.rows("out")] == [(1, 9999)]


@pytest.mark.slow
def test_an_empty_input_goes_through_spark_and_ray_and_empties_or_keeps_by_mode(lab: Lab) -> None:
    def pipeline() -> str:
        lab.file("a.csv", lines)
        return lab.pipeline(
            files("raw", lab.path("*.csv"), id="long"),
            ray("worked", "def process(batch): return batch", id="long"),
            sink("a", lab.named("a"), "append", repeat=True),
            sink("o", lab.named("o"), "overwrite"),
            sink("p", lab.named("p"), "overwrite_partitions", partition_by=["id"]),
            sink("m", lab.named("m"), "merge", keys=["id"]),
            flow="raw>worked>a, worked>o, worked>p, worked>m",
        )

    lines = "id\n"
    first = lab.run(pipeline())
    assert first.success, first.failures
    assert [lab.rows(table) for table in "aopm"] == [[]] * 4
    lines = "id\n1\n"
    assert lab.run(pipeline()).success
    lines = "id\n"
    ran = lab.run(pipeline())
    assert ran.success, ran.failures
    assert [lab.rows(table) for table in "aopm"] == [[(1,)], [], [(1,)], [(1,)]]


def test_parameters_are_typed_and_a_subset_runs_what_is_above_it_without_its_steps(lab: Lab) -> None:
    text = through(
        lab,
        sql("step", "SELECT id, :since AS since, :name AS name FROM raw WHERE id >= :low"),
        parameters={
            "low": {"type": "integer", "default": 2},
            "since": {"type": "date", "default": "2024-01-01"},
            "name": {"type": "string", "default": "it's"},
        },
    )
    ran = lab.run(text, params={"low": 1, "since": "2024-02-03"}, select=["out"])
    assert ran.success, ran.failures
    assert list(ran.tables) == ["out"]
    assert [(a, str(b), c) for a, b, c in lab.rows("out")] == [(1, "2024-02-03", "it's"), (2, "2024-02-03", "it's")]
    ran = lab.run(text, params={"since": "tomorrow"})
    assert "parameter 'since': 'tomorrow' is not a date" in next(iter(ran.failures.values()))
    with pytest.raises(Exception, match=r"low"):
        lab.run(text, params={"low": "many"})
