"""The dbt step on the engine: its rows, its tests, and the rules of data that hold for it (D, L2)."""

from __future__ import annotations

import contextlib
from typing import Any

import psutil
import pytest
from lab import Lab, Node, files, iceberg, on, sink, wait_for

from drls_dagster.engine.step_code import CodeChanged
from drls_dagster.errors import DrlsError

pytestmark = pytest.mark.slow

PROJECT = "name: shop\nversion: '1.0'\nconfig-version: 2\nmodels: {shop: {+materialized: table}}\n"
SOURCES = "sources: [{name: drls, tables: [{name: raw}]}]\n"
MODEL = "select id, name from {{ source('drls', 'raw') }}"


def dbt(node: str, **more: Any) -> Node:
    return {"id": node, "type": "transform", "step": "dbt", "project": "shop", **more}


def project(lab: Lab, **texts: str) -> None:
    """A project `shop` whose models are these, by name; what is named `x_yml` is a file of properties."""
    (lab.landing / "shop" / "models").mkdir(parents=True, exist_ok=True)
    lab.file("shop/dbt_project.yml", PROJECT)
    lab.file("shop/models/sources.yml", SOURCES)
    for name, text in texts.items():
        lab.file(f"shop/models/{name.removesuffix('_yml')}.{'yml' if name.endswith('_yml') else 'sql'}", text)


def raw(lab: Lab, *names: str) -> Node:
    lab.file("rows.csv", "id,name\n" + "".join(f"{at},{name}\n" for at, name in enumerate(names)))
    return files("raw", lab.path("rows.csv"), id="long", name="string")


def building(lab: Lab, **more: Any) -> str:
    """raw > work > out"""
    nodes = (raw(lab, "a", "b"), dbt("work", **more), sink("out", lab.named("out"), "overwrite"))
    return lab.pipeline(*nodes, flow="raw>work>out")


def test_models_tests_and_variables_give_rows_and_are_shown(lab: Lab) -> None:
    project(
        lab,
        stg="{{ config(materialized='view') }} " + MODEL,
        work="select id, upper(name) as name, sum(id)::hugeint as total, {{ var('least') }} as least\n"
        "from {{ ref('stg') }} group by all",
        tests_yml="models:\n- name: work\n  description: All of them\n  columns:\n"
        "  - {name: id, data_tests: [unique, not_null]}\n"
        "  - {name: name, data_tests: [{accepted_values: {arguments: {values: [A]}, config: {severity: warn}}}]}\n",
    )
    text = lab.pipeline(
        raw(lab, "a", "b"),
        dbt("work", checks=["unique_work_id"], vars={"least": 7}),
        sink("out", lab.named("out"), "overwrite"),
        flow="raw>work>out",
    )
    ran = lab.run(text)
    assert ran.success, ran.failures
    assert [(one[0], one[1], int(one[2]), one[3]) for one in lab.rows("out", "id", "name", "total", "least")] == [
        (0, "A", 0, 7),
        (1, "B", 1, 7),
    ]
    assert ran.checks["unique_work_id"] == (True, "ERROR", "failures: 0, file: models/tests.yml")
    shown = ran.tables["work"]
    assert shown["reported checks"]["accepted_values_work_name__A"].startswith("failed (WARN): failures: 1")
    assert shown["reported/dbt lineage"] == "stg <- raw; work <- stg"
    assert shown["reported/description"] == "All of them"


def test_a_test_that_fails_blocks_and_nothing_is_published(lab: Lab) -> None:
    project(lab, work=MODEL, tests_yml="models: [{name: work, columns: [{name: name, data_tests: [unique]}]}]\n")
    lab.file("rows.csv", "id,name\n0,same\n1,same\n")
    nodes = (
        files("raw", lab.path("rows.csv"), id="long", name="string"),
        dbt("work", checks=["unique_work_name"]),
        sink("out", lab.named("out"), "overwrite"),
    )
    ran = lab.run(lab.pipeline(*nodes, flow="raw>work>out"))
    assert ran.failures == {
        "work": "dbt of node 'work' reports failed checks: unique_work_name: failures: 1, file: models/tests.yml"
    }
    assert ran.checks["unique_work_name"][0] is False
    assert not lab.catalog.table_exists(lab.identifier("out"))


@pytest.mark.parametrize(
    ("text", "more", "wrong"),
    [
        ("select nothing from {{ source('drls', 'raw') }}", {}, "model work (models/work.sql): Binder Error: "),
        ("select {{ no_such_macro() }}", {}, "'no_such_macro' is undefined"),
        ("select * from {{ ref('gone') }}", {}, "depends on a node named 'gone' which was not found"),
        (MODEL, {"model": "other"}, "the selection +other selects nothing of shop"),
        (MODEL, {"checks": ["promised"]}, "did not report the check 'promised', which the pipeline names"),
        (
            "select time '10:00' as at",
            {},
            "column at has the type TIME, which tables cannot hold; cast it in the model",
        ),
        ("install httpfs", {}, "model work (models/work.sql): Parser Error: "),
    ],
)
def test_a_project_at_fault_fails_the_step_in_one_line(lab: Lab, text: str, more: dict[str, Any], wrong: str) -> None:
    project(lab, work=text)
    with pytest.raises(DrlsError) as failed:
        lab.prepare(building(lab, **more)).sink("out")
    assert wrong in str(failed.value)
    assert str(failed.value).startswith("dbt of node 'work'")
    assert "\n" not in str(failed.value)
    assert not lab.catalog.table_exists(lab.identifier("out"))


def test_a_model_that_reads_what_no_version_keeps_is_refused(lab: Lab) -> None:
    """The fence would let it read the inputs of its own step by another way."""
    project(lab, work="select id from read_parquet('inputs/raw/*.parquet')")
    with pytest.raises(DrlsError, match="which no version keeps; make it a source of the pipeline"):
        lab.prepare(building(lab)).sink("out")


def test_d1_d2_a_retry_and_a_re_execution_take_the_rows_of_the_first_try(lab: Lab) -> None:
    project(lab, work=MODEL)
    text = building(lab)
    step = lab.prepare(text)

    def fail() -> None:
        raise RuntimeError("the machine goes down")

    with pytest.raises(RuntimeError):
        step.sink("out", on("written", fail))
    lab.file("rows.csv", "id,name\n0,changed\n7,new\n")
    lab.prepare(text, run_key=step.run.run_key).sink("out")
    assert lab.rows("out") == [(0, "a"), (1, "b")]


def test_d2_two_sinks_see_what_dbt_built_once(lab: Lab) -> None:
    project(lab, work="select id, random() as drawn from {{ source('drls', 'raw') }}")
    sinks = (sink(name, lab.named(name), "overwrite") for name in ("one", "two"))
    ran = lab.run(lab.pipeline(raw(lab, "a", "b"), dbt("work"), *sinks, flow="raw>work>one, work>two"))
    assert ran.success, ran.failures
    assert lab.rows("one") == lab.rows("two")


def test_d3_a_sink_whose_table_moved_builds_again_on_new_pins(lab: Lab) -> None:
    project(lab, work="select id from {{ source('drls', 'raw') }}")
    lab.create("feed", id="long")
    lab.append("feed", (1,))
    nodes = (iceberg("raw", lab.named("feed")), dbt("work"), sink("out", lab.named("out"), "overwrite"))
    text = lab.pipeline(*nodes, flow="raw>work>out")
    lab.prepare(text).sink("out")

    def move() -> None:
        lab.append("feed", (2,))
        lab.append("out", (9,))

    lab.prepare(text).sink("out", on("written", move))
    assert lab.rows("out") == [(1,), (2,)]


def test_d4_d5_d8_an_increment_passes_through_dbt_once_and_its_incremental_models_are_built_in_full(lab: Lab) -> None:
    project(
        lab,
        work="{{ config(materialized='incremental') }} select id from {{ source('drls', 'raw') }}"
        "{% if is_incremental() %} where false {% endif %}",
    )
    lab.create("feed", id="long")
    lab.append("feed", (1,))
    nodes = (iceberg("raw", lab.named("feed"), "incremental"), dbt("work"), sink("out", lab.named("out")))
    text = lab.pipeline(*nodes, flow="raw>work>out")
    for number in (2, 3):
        assert lab.run(text).success
        lab.append("feed", (number,))
    assert lab.run(text).success
    assert lab.run(text).success
    assert lab.rows("out") == [(1,), (2,), (3,)]


def test_d6_a_project_knows_its_partition(lab: Lab) -> None:
    project(lab, work="select '{{ var('drls_partition') }}'::date as day, 1 as n from {{ source('drls', 'raw') }}")
    text = lab.pipeline(
        raw(lab, "a"),
        dbt("work"),
        sink("out", lab.named("out"), "overwrite_partitions", partition_by=["day"]),
        flow="raw>work>out",
        partitions={"kind": "daily", "start": "2024-01-01", "column": "day"},
    )
    for day in ("2024-01-02", "2024-01-03", "2024-01-03"):
        ran = lab.run(text, partition=day)
        assert ran.success, ran.failures
    assert [str(day) for (day,) in lab.rows("out", "day")] == ["2024-01-02", "2024-01-03"]


def test_l2_a_changed_model_is_refused(lab: Lab) -> None:
    project(lab, work=MODEL)
    spec = lab.spec(building(lab))
    lab.prepare("", spec=spec).sink("out")
    lab.file("shop/models/work.sql", "select 1 as id, 'x' as name")
    with pytest.raises(CodeChanged, match=r"shop/models/work\.sql is not the code that was saved or loaded"):
        lab.prepare("", spec=spec).sink("out")


@pytest.mark.parametrize("value", ["{{ 1/0 }}", '{% raw %}{{ "\\" }}', "'; drop schema drls; --\n"])
def test_hostile_variables_are_values(lab: Lab, value: str) -> None:
    project(lab, work="select id, '{{ var('p') | replace(\"'\", \"''\") }}' as p from {{ source('drls', 'raw') }}")
    lab.prepare(building(lab, vars={"p": value})).sink("out")
    assert [one for (_, one) in lab.rows("out", "id", "p")] == [value, value]


def test_d13_a_run_that_is_killed_in_dbt_leaves_no_process_and_the_next_one_works(lab: Lab) -> None:
    endless = "select id from {{ source('drls', 'raw') }}, range(10000000000) t(i), range(10000000000) s(j) group by id"
    project(lab, work=endless)
    folders = lab.kill_run(building(lab), builds)
    wait_for("its processes to end", lambda: not builds())
    project(lab, work=MODEL)
    assert lab.run(building(lab)).success
    assert [one for one in folders if one.exists()] == []


def builds() -> list[int]:
    """The processes that build a project."""
    found: list[int] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "drls_dagster.engine.dbt_project" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found
