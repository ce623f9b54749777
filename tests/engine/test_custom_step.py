"""The custom step on the engine: the rules of data that hold for it (D, L2), and what people see of it."""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

import psutil
import pytest
from lab import Lab, Node, custom, files, iceberg, monitor, on, python, sink, sql, wait_for

from drls_dagster.engine.step_code import CodeChanged
from drls_dagster.errors import DrlsError
from drls_dagster.steps.staging import forget, staging_folder

pytestmark = pytest.mark.slow

SAME = {"output_schema": {"id": "long", "name": "string"}}
COPY = "cp inputs/raw/*.parquet output"
# Each run of it leaves a line in a folder that the fence opens to it.
SCRIPT = """
import os, sys
from drls_dagster import custom
with custom.step() as step:
    rows = step.table("raw")
    print("working on", rows.num_rows, "rows")
    step.check("has_rows", passed=rows.num_rows > 0, severity="WARN", metadata={"rows": rows.num_rows})
    step.check("few_rows", passed=rows.num_rows < 5, metadata={"rows": rows.num_rows})
    step.check("surplus", passed=True)
    step.report({"rows": 1_000_000, "dagster/row_count": 7}, threshold=step.parameters.get("least"))
    step.log(f"in {step.environment}")
    step.write(rows)
"""


RANDOM = """
import os, pyarrow as pa, pyarrow.parquet as pq
pq.write_table(pa.table({"id": [int.from_bytes(os.urandom(6), "big")]}), "output/x.parquet")
"""
MAY_FAIL = """
def transform(spark, make):
    import os
    if os.path.exists({marker!r}):
        raise RuntimeError("not now")
    return make
"""


def raw(lab: Lab, *names: str) -> Node:
    lab.file("rows.csv", "id,name\n" + "".join(f"{at},{name}\n" for at, name in enumerate(names)))
    return files("raw", lab.path("rows.csv"), id="long", name="string")


def copying(lab: Lab, *command: str, run: dict[str, Any] | None = None, **more: Any) -> str:
    """raw > work > out"""
    step = custom("work", *(command or ("bash", "-c", COPY)), **{**SAME, **more})
    settings = {} if run is None else {"run": run}
    nodes = (raw(lab, "a", "b"), step, sink("out", lab.named("out"), "overwrite"))
    return lab.pipeline(*nodes, flow="raw>work>out", **settings)


def sleeping(seconds: str) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cmdline() == ["sleep", seconds] and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def test_a_python_command_gives_rows_and_reports_that_are_shown_and_no_evidence(lab: Lab) -> None:
    lab.file("score.py", SCRIPT)
    step = custom("work", "python", "score.py", checks=["has_rows", "few_rows"], **SAME)
    checks = monitor("m", {"kind": "row_count", "min": 1, "max": 10})
    nodes = (raw(lab, "a", "b"), step, sink("out", lab.named("out"), "overwrite"), checks)
    parameters = {"least": {"type": "integer", "default": 3}}
    ran = lab.run(lab.pipeline(*nodes, flow="raw>work>out, work>m", parameters=parameters))
    assert ran.success, ran.failures
    assert lab.rows("out") == [(0, "a"), (1, "b")]
    shown = ran.tables["work"]
    assert (shown["reported/rows"], shown["reported/threshold"], shown["reported/dagster/row_count"]) == (10**6, 3, 7)
    assert "dagster/row_count" not in shown
    assert shown["reported checks"] == {"surplus": "passed (ERROR): reported as passed"}
    assert ran.tables["out"]["dagster/row_count"] == 2
    assert ran.checks["has_rows"] == (True, "WARN", "rows: 2")
    assert ran.checks["few_rows"] == (True, "ERROR", "rows: 2")
    assert ran.checks["row_count"][0]


def test_a_blocking_check_that_the_command_reports_as_failed_stops_the_step(lab: Lab) -> None:
    lab.file("score.py", SCRIPT.replace("< 5", "< 1"))
    text = lab.pipeline(
        raw(lab, "a", "b"),
        custom("work", "python", "score.py", checks=["few_rows"], **SAME),
        sink("out", lab.named("out"), "overwrite"),
        flow="raw>work>out",
    )
    ran = lab.run(text)
    assert ran.failures == {"work": "the command of node 'work' reports failed checks: few_rows: rows: 2"}
    assert ran.checks == {"few_rows": (False, "ERROR", "rows: 2")}
    assert not lab.catalog.table_exists(lab.identifier("out"))


@pytest.mark.parametrize(
    ("text", "more", "wrong"),
    [
        ("exit 3", {}, "the command of node 'work': it ended with exit code 3"),
        (
            "true",
            {},
            "the command of node 'work': it left no .parquet file in its output folder; write one without rows",
        ),
        ("echo x > output/a.parquet", {}, "the command of node 'work': 'a.parquet' cannot be read as Parquet: "),
        ("ln -s /etc/passwd output/a.parquet", {}, "'a.parquet' in its output folder is a link, not a file of its own"),
        ("rm -r output; ln -s inputs/raw output", {}, "put a link in place of its output folder; write into it"),
        (COPY, {"output_schema": {"id": "long"}}, "has extra columns name; output_schema says id"),
        (
            COPY,
            {"output_schema": {"id": "date", "name": "string"}},
            "is int64, which does not fit output_schema's date32",
        ),
        (COPY, {"checks": ["promised"]}, "did not report the check 'promised', which the pipeline names"),
        ("sleep 100", {"resources": {"timeout": "1s"}}, "it took longer than its timeout of 1s and was stopped"),
    ],
)
def test_a_command_at_fault_fails_the_step_in_one_line(lab: Lab, text: str, more: dict[str, Any], wrong: str) -> None:
    with pytest.raises(DrlsError) as failed:
        lab.prepare(copying(lab, "bash", "-c", text, **more)).sink("out")
    assert wrong in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_command_that_is_not_there_is_named_and_not_tried_again(lab: Lab) -> None:
    ran = lab.run(copying(lab, "no-such-program", run={"retries": {"attempts": 2}}))
    assert ran.failure.startswith("the command of node 'work': 'no-such-program', or the interpreter")
    assert ran.retried == []


def test_d1_d2_a_retry_and_a_re_execution_take_the_rows_of_the_first_try(lab: Lab) -> None:
    """The first try fails after it has seen the rows; the second one sees the same although the file grew."""
    text = copying(lab)
    step = lab.prepare(text)

    def fail() -> None:
        raise RuntimeError("the machine goes down")

    with pytest.raises(RuntimeError):
        step.sink("out", on("written", fail))
    lab.file("rows.csv", "id,name\n0,changed\n7,new\n")
    lab.prepare(text, run_key=step.run.run_key).sink("out")
    assert lab.rows("out") == [(0, "a"), (1, "b")]


def test_d2_two_sinks_see_what_the_command_gave_once(lab: Lab) -> None:
    text = lab.pipeline(
        custom("make", "python", "-c", RANDOM, output_schema={"id": "long"}),
        sql("again", "SELECT id FROM make"),
        *(sink(name, lab.named(name), "overwrite") for name in ("one", "two")),
        flow="make>one, make>again>two",
    )
    ran = lab.run(text)
    assert ran.success, ran.failures
    assert len(lab.rows("one")) == 1
    assert lab.rows("one") == lab.rows("two")
    again = lab.run(text)
    assert again.success
    assert lab.rows("one") == lab.rows("two")


def test_d2_output_that_is_gone_is_made_again_of_the_same_rows(lab: Lab) -> None:
    text = lab.pipeline(
        iceberg("raw", lab.named("feed")), custom("work", "bash", "-c", COPY, output_schema={"id": "long"}),
        sink("out", lab.named("out"), "overwrite"), flow="raw>work>out",
    )  # fmt: skip
    lab.create("feed", id="long")
    lab.append("feed", (1,))
    step = lab.prepare(text)
    step.frames.frame("work", step.run.reads_of("work"))
    forget(staging_folder(lab.settings, step.run.run_key, step.frames.key("work", step.run.reads_of("work"))))
    lab.append("feed", (2,))
    lab.prepare(text, run_key=step.run.run_key).sink("out")
    assert lab.rows("out") == [(1,)]


def test_d3_a_sink_whose_table_moved_runs_the_command_on_new_pins(lab: Lab) -> None:
    lab.create("feed", id="long")
    lab.append("feed", (1,))
    text = lab.pipeline(
        iceberg("raw", lab.named("feed")), custom("work", "bash", "-c", COPY, output_schema={"id": "long"}),
        sink("out", lab.named("out"), "overwrite"), flow="raw>work>out",
    )  # fmt: skip
    lab.prepare(text).sink("out")

    def move() -> None:
        lab.append("feed", (2,))
        lab.append("out", (9,))

    lab.prepare(text).sink("out", on("written", move))
    assert lab.rows("out") == [(1,), (2,)]


def test_d4_d5_d8_an_increment_passes_through_a_command_once(lab: Lab) -> None:
    lab.create("feed", id="long")
    lab.append("feed", (1,))
    text = lab.pipeline(
        iceberg("raw", lab.named("feed"), "incremental"),
        custom("work", "bash", "-c", COPY, output_schema={"id": "long"}),
        sink("out", lab.named("out")), flow="raw>work>out",
    )  # fmt: skip
    for number in (2, 3):
        assert lab.run(text).success
        lab.append("feed", (number,))
    assert lab.run(text).success
    assert lab.run(text).success
    assert lab.rows("out") == [(1,), (2,), (3,)]


def test_d6_a_command_knows_its_partition_and_rows_outside_it_fail_the_sink(lab: Lab) -> None:
    text = """
import os, datetime, pyarrow as pa, pyarrow.parquet as pq
day = datetime.date.fromisoformat(os.environ["DRLS_PARTITION"]) + datetime.timedelta(int(os.environ["DRLS_PARAM_OFF"]))
pq.write_table(pa.table({"day": [day]}), "output/x.parquet")
"""
    pipeline = lab.pipeline(
        custom("make", "python", "-c", text, output_schema={"day": "date"}),
        sink("out", lab.named("out"), "overwrite_partitions", partition_by=["day"]),
        flow="make>out",
        partitions={"kind": "daily", "start": "2024-01-01", "column": "day"},
        parameters={"off": {"type": "integer", "default": 0}},
    )
    for day in ("2024-01-02", "2024-01-03", "2024-01-03"):
        ran = lab.run(pipeline, partition=day)
        assert ran.success, ran.failures
    assert [str(day) for (day,) in lab.rows("out")] == ["2024-01-02", "2024-01-03"]
    assert not lab.run(pipeline, partition="2024-01-04", params={"off": 1}).success
    assert len(lab.rows("out")) == 2


def test_d7_a_re_execution_from_failure_takes_what_the_command_gave(lab: Lab) -> None:
    text = lab.pipeline(
        custom("make", "python", "-c", RANDOM, output_schema={"id": "long"}),
        python("second", MAY_FAIL.format(marker=str(lab.landing / "marker"))),
        sink("one", lab.named("one"), repeat=True),
        sink("two", lab.named("two"), repeat=True),
        flow="make>one, make>second>two",
    )
    lab.file("marker", "")
    first = lab.run(text)
    assert not first.success
    (lab.landing / "marker").unlink()
    resumed = lab.run(text, resume=first.run_id)
    assert resumed.success, resumed.failures
    assert lab.rows("one") == lab.rows("two")
    assert len(lab.rows("one")) == 1


def test_a_command_that_fails_is_tried_again_where_the_pipeline_says_so(lab: Lab) -> None:
    ran = lab.run(copying(lab, "bash", "-c", "exit 3", run={"retries": {"attempts": 1}}))
    assert (ran.retried, ran.failure) == (["work"], "the command of node 'work': it ended with exit code 3")


def test_d13_a_run_that_is_killed_in_a_command_leaves_no_process_and_the_next_one_works(lab: Lab) -> None:
    seconds = f"7{uuid.uuid4().int % 10**8:08}"
    text = copying(lab, "bash", "-c", f"setsid sleep {seconds} & sleep {seconds}")
    folders = lab.kill_run(text, lambda: len(sleeping(seconds)) == 2)
    wait_for("its processes to end", lambda: not sleeping(seconds))
    assert lab.run(copying(lab)).success
    assert lab.rows("out") == [(0, "a"), (1, "b")]
    assert [one for one in folders if one.exists()] == []


def test_l2_a_changed_file_is_refused(lab: Lab) -> None:
    script = lab.file("copy.sh", COPY)
    spec = lab.spec(copying(lab, "bash", "copy.sh"))
    lab.prepare("", spec=spec).sink("out")
    script.write_text("true")
    with pytest.raises(CodeChanged, match=r"copy\.sh is not the code that was saved or loaded"):
        lab.prepare("", spec=spec).sink("out")


@pytest.mark.parametrize("value", ["$(touch pwned)", "'; touch pwned; '", "`touch pwned`", "a\nb", "ключ", "\\", '"'])
def test_hostile_values_are_values_and_nothing_runs_them(lab: Lab, value: str) -> None:
    check = 'test "$GIVEN" = "$1" && test "$DRLS_PARAM_P" = "$1" && test ! -e pwned && ' + COPY
    text = lab.pipeline(
        raw(lab, "a"), custom("work", "bash", "-c", check, "bash", value, env={"GIVEN": value}, **SAME),
        sink("out", lab.named("out"), "overwrite"), flow="raw>work>out",
        parameters={"p": {"type": "string", "default": "x"}},
    )  # fmt: skip
    lab.prepare(text, p=value).sink("out")
    assert lab.rows("out") == [(0, "a")]
