"""D13: what dead runs and failed checks leave is cleared by the ledger's list. `kill -9` harms no table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from lab import Lab, files, monitor, on, python, sink

from drls_dagster.engine import state as st
from drls_dagster.engine.driver import free_port
from drls_dagster.ledger import FAILED_CHECK_DAYS
from drls_dagster.steps.sink import NotPublished

SLEEP = 8  # seconds that the write of a row takes
SLOW = """
def transform(spark, raw):
    slow = "reflect('java.lang.Thread', 'sleep', CAST(if(id > 1, SLEEP, 0) AS BIGINT))"
    return raw.selectExpr("id", f"CAST({slow} AS STRING) AS x")
""".replace("SLEEP", str(SLEEP * 1000))


def killed_in_the_middle(lab: Lab, text: str, table: str) -> str:
    """Start a run in a process of its own and kill it while Spark writes; returns the branch it left."""
    path = lab.landing / "killed.json"
    path.write_text(text)
    with (lab.landing / "killed.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "lab.py"), str(lab.settings.home), str(path)],
            env={**os.environ, "DRLS_HOME": str(lab.settings.home), "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    name = ".".join(lab.identifier(table))
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        found = lab.ledger.branches(name)
        if found and found[0].branch in lab.branches(table):
            time.sleep(1)  # into the write
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            return found[0].branch
        time.sleep(0.1)
    process.kill()
    pytest.fail(f"the run did not come to its write: {(lab.landing / 'killed.log').read_text()[-3000:]}")


@pytest.mark.slow
def test_d13_kill_9_in_a_write_leaves_the_table_as_it_was_and_the_next_run_clears_the_branch(lab: Lab) -> None:
    lab.file("a.csv", "id\n1\n")
    slow = lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        python("wait", SLOW),
        sink("out", lab.named("out"), "overwrite"),
        flow="raw>wait>out",
    )
    lab.prepare(slow).sink("out")
    lab.file("b.csv", "id\n2\n")
    before = lab.table("out").metadata.current_snapshot_id

    branch = killed_in_the_middle(lab, slow, "out")
    killed = time.monotonic()
    assert lab.table("out").metadata.current_snapshot_id == before
    assert lab.rows("out", "id") == [(1,)]
    assert lab.branches("out") == [branch]

    lab.file("b.csv", "id\n0\n")
    lab.prepare(slow).sink("out")
    assert lab.branches("out") == []
    while time.monotonic() < killed + SLEEP + 1:  # a write that went on would make its branch again
        time.sleep(0.2)
    assert lab.rows("out", "id") == [(0,), (1,)]
    assert lab.branches("out") == []
    assert lab.ledger.branches(".".join(lab.identifier("out"))) == []


@pytest.mark.slow
def test_d13_a_sink_that_fails_while_spark_does_not_answer_leaves_its_branch_on_the_list(lab: Lab) -> None:
    """Finding 4; failed on 0.1.0: the row was closed, whatever Spark still wrote."""
    lab.file("a.csv", "id\n1\n")
    text = lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"), sink("out", lab.named("out"), "overwrite"), flow="raw>out"
    )
    lab.prepare(text).sink("out")
    state = st.read_state(lab.settings)
    assert state is not None

    def lost() -> None:
        st.write_state(lab.settings, replace(state, connect_port=free_port()))
        raise RuntimeError("the connection is lost")

    try:
        with pytest.raises(RuntimeError, match="lost"):
            lab.prepare(text).sink("out", on("written", lost))
    finally:
        st.write_state(lab.settings, state)
    (left,) = lab.ledger.branches(".".join(lab.identifier("out")))
    assert left.state == "open"
    assert lab.branches("out") == []


def test_d13_a_failed_checks_branch_stays_seven_days(lab: Lab) -> None:
    lab.file("a.csv", "id\n1\n")
    text = lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        sink("out", lab.named("out"), "overwrite"),
        monitor("quality", {"kind": "row_count", "max": 1}),
        flow="raw>out>quality",
    )
    lab.prepare(text).sink("out")
    lab.file("b.csv", "id\n2\n")
    with pytest.raises(NotPublished) as refused:
        lab.prepare(text).sink("out")
    (branch,) = lab.branches("out")
    assert f"stays on branch {branch} for 7 days" in str(refused.value)
    assert lab.sql(f"SELECT count(*) AS n FROM {lab.spark_name('out')}.branch_{branch}")[0].n == 2

    lab.file("b.csv", "id\n")
    name = ".".join(lab.identifier("out"))
    lab.ledger.keep_branch(name, branch, now=time.time() - (FAILED_CHECK_DAYS - 0.01) * 86_400)
    lab.prepare(text).sink("out")
    assert lab.branches("out") == [branch]

    lab.ledger.keep_branch(name, branch, now=time.time() - (FAILED_CHECK_DAYS + 0.01) * 86_400)
    lab.prepare(text).sink("out")
    assert lab.branches("out") == []
