"""A check result counts for the rows that it looked at: sinks that read otherwise are checked again (D3, L5)."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Lab, Step, files, iceberg, monitor, on, sink, sql
from lifecycle_lab import QA, LifecycleLab

from drls_dagster.errors import DrlsError
from drls_dagster.runs.memory import RunMemory
from drls_dagster.runs.table_words import Candidate, TableState
from drls_dagster.steps.above import ChecksFailed
from lifecycle.domain.run import Work

POSITIVE = {"kind": "range", "column": "id", "min": 0, "name": "positive"}
ROWS = {"kind": "row_count", "min": 1, "name": "rows"}


class Recorder:
    """What a run remembers, and each publish that it asks for."""

    def __init__(self, memory: RunMemory) -> None:
        self._memory = memory
        self.shown: list[Work] = []

    def publish(self, candidate: Candidate) -> TableState:
        self.shown.append(candidate.work)
        return self._memory.publish(candidate)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)


def watched(lab: Lab, text: str) -> tuple[Step, Recorder, list[str]]:
    """A run whose publishes and log a test reads."""
    step, said = lab.prepare(text), list[str]()
    asked = Recorder(step.run.memory)
    step.run.memory = asked  # pyright: ignore[reportAttributeAccessIssue]
    step.run.log = said.append
    return step, asked, said


def from_file(lab: Lab, *checks: dict[str, Any], at: str = "clean") -> str:
    return lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        sql("clean", "SELECT * FROM raw"),
        sink("out", lab.named("out"), "append", repeat=True),
        monitor("quality", *checks),
        flow=f"raw>clean>out, {at}>quality",
    )


def evidence(work: Work) -> dict[str, tuple[bool, str]]:
    return {f"{one.node}.{one.check}": (one.passed, one.observed) for one in work.checks}


@pytest.mark.parametrize("at", ["raw", "clean"])
def test_d3_rows_of_a_second_try_are_checked_again_and_a_blocking_failure_publishes_nothing(lab: Lab, at: str) -> None:
    """Finding 1; failed on 0.1.0: the row -1 was published with the evidence of the first pins."""
    lab.file("a.csv", "id\n1\n2\n")
    lab.prepare(from_file(lab, POSITIVE, at=at)).sink("out")

    def both_move() -> None:
        lab.append("out", (9,))
        lab.file("a.csv", "id\n1\n-1\n")

    with pytest.raises(ChecksFailed, match=rf"sink 'out' was not published: node '{at}' .*positive: 1 row\(s\) fail"):
        lab.prepare(from_file(lab, POSITIVE, at=at)).sink("out", on("audited", both_move))
    assert lab.rows("out") == [(1,), (2,), (9,)]
    assert lab.branches("out") == []
    assert lab.ledger.branches(".".join(lab.identifier("out"))) == []


@pytest.mark.slow
def test_d3_the_evidence_of_a_second_try_is_of_the_rows_that_it_publishes(lab: Lab) -> None:
    """Finding 1; failed on 0.1.0: it told of the two rows of the first pins."""
    lab.file("a.csv", "id\n1\n2\n")
    text = from_file(lab, ROWS, {**POSITIVE, "severity": "warn"})
    lab.prepare(text).sink("out")
    step, asked, said = watched(lab, text)

    def both_move() -> None:
        lab.append("out", (9,))
        lab.file("a.csv", "id\n3\n4\n-5\n")

    step.sink("out", on("audited", both_move))
    first, second = asked.shown
    assert evidence(first) == {"quality.rows": (True, "2"), "quality.positive": (True, "0")}
    assert evidence(second) == {"quality.rows": (True, "3"), "quality.positive": (False, "1")}
    assert len([one for one in said if "cover what this sink reads" in one]) == 2


@pytest.mark.slow
def test_a_second_try_that_reads_the_same_rows_does_not_check_them_again(lab: Lab) -> None:
    lab.file("a.csv", "id\n1\n2\n")
    text = from_file(lab, ROWS)
    lab.prepare(text).sink("out")
    step, asked, said = watched(lab, text)
    step.sink("out", on("audited", lambda: lab.append("out", (9,))))
    assert [evidence(one) for one in asked.shown] == [{"quality.rows": (True, "2")}] * 2
    assert len([one for one in said if "cover what this sink reads" in one]) == 1


def two_sinks(lab: Lab, *checks: dict[str, Any]) -> str:
    watch = (monitor("quality", *checks),) if checks else ()
    return lab.pipeline(
        iceberg("raw", lab.named("src"), "incremental"),
        sql("clean", "SELECT * FROM raw"),
        sink("one", lab.named("one")),
        sink("two", lab.named("two")),
        *watch,
        flow="raw>clean>one, clean>two" + (", clean>quality" if checks else ""),
    )


@pytest.mark.slow
def test_two_sinks_at_different_positions_are_each_checked_on_what_they_read(lab: Lab) -> None:
    """Finding 1; failed on 0.1.0: what the second sink alone had to read was never looked at."""
    lab.create("src", id="long")
    lab.append("src", (1,))
    assert lab.run(two_sinks(lab)).success
    lab.append("src", (-2,))
    assert lab.run(two_sinks(lab), select=["clean", "one"]).success  # only it took the wrong row, unchecked
    lab.append("src", (3,))

    ran = lab.run(two_sinks(lab, POSITIVE))
    assert ran.failure == "node 'clean' fails its checks: positive: 1 row(s) fail"
    assert lab.rows("one") == [(-2,), (1,)]
    assert lab.rows("two") == [(1,)]

    step, asked, _ = watched(lab, two_sinks(lab, POSITIVE, ROWS))
    step.sink("one")
    assert evidence(asked.shown[0]) == {"quality.positive": (True, "0"), "quality.rows": (True, "1")}
    with pytest.raises(ChecksFailed, match=r"positive: 1 row\(s\) fail"):
        step.sink("two")
    step, asked, _ = watched(lab, two_sinks(lab, {**POSITIVE, "severity": "warn"}, ROWS))
    step.sink("two")
    assert evidence(asked.shown[0]) == {"quality.positive": (False, "1"), "quality.rows": (True, "2")}


@pytest.mark.slow
def test_a_table_that_is_rebuilt_is_checked_on_all_rows_that_go_into_it(lab: Lab) -> None:
    """Finding 1; failed on 0.1.0: all rows were read again, and only the new ones checked."""
    lab.create("src", id="long")
    lab.append("src", (-1,))

    def pipeline(shape: str, *checks: dict[str, Any]) -> str:
        return lab.pipeline(
            iceberg("raw", lab.named("src"), "incremental"),
            sql("clean", f"SELECT id, {shape} AS c FROM raw"),
            sink("out", lab.named("out"), on_schema_change="rebuild"),
            monitor("quality", *(checks or (ROWS,))),
            flow="raw>clean>out, clean>quality",
        )

    lab.prepare(pipeline("1")).sink("out")
    lab.append("src", (2,))
    with pytest.raises(ChecksFailed, match=r"positive: 1 row\(s\) fail"):
        lab.prepare(pipeline("'x'", POSITIVE)).sink("out")
    assert lab.rows("out") == [(-1, 1)], "the rebuild is taken back"

    step, asked, _ = watched(lab, pipeline("'x'", ROWS))
    step.sink("out")
    assert lab.rows("out") == [(-1, "x"), (2, "x")]
    assert evidence(asked.shown[0]) == {"quality.rows": (True, "2")}


@pytest.mark.slow
def test_a_sink_that_runs_alone_is_checked_by_what_is_above_it(lab: Lab) -> None:
    """Finding 1; failed on 0.1.0: choosing the sink alone went round the blocking check."""
    lab.file("a.csv", "id\n-1\n")
    ran = lab.run(from_file(lab, POSITIVE, at="raw"), select=["out"])
    assert ran.failure.startswith("sink 'out' was not published: node 'raw' fails its checks")
    assert not lab.catalog.table_exists(lab.identifier("out"))


@pytest.mark.slow
def test_a_check_on_an_incremental_source_looks_at_all_of_it_also_for_a_sink_that_takes_what_is_new(lab: Lab) -> None:
    lab.create("src", id="long")
    lab.append("src", (1,), (2,))
    text = lab.pipeline(
        iceberg("raw", lab.named("src"), "incremental"),
        sink("out", lab.named("out")),
        monitor("quality", ROWS),
        flow="raw>out, raw>quality",
    )
    lab.prepare(text).sink("out")
    ran = lab.run(text)  # nothing is new, and the table still has its rows
    assert ran.success, ran.failures
    assert [passed for passed, *_ in ran.checks.values()] == [True]
    lab.append("src", (3,))
    step, asked, _ = watched(lab, text)
    step.sink("out")
    assert evidence(asked.shown[0]) == {"quality.rows": (True, "3")}


@pytest.mark.slow
def test_a_file_that_changes_under_its_check_is_named_and_nothing_is_published(lab: Lab) -> None:
    lab.file("a.csv", "id\n1\n")
    step, _, _ = watched(lab, from_file(lab, POSITIVE))
    step.run.reads_of("clean")  # pinned
    lab.file("a.csv", "id\n1\n-1\n")
    with pytest.raises(DrlsError, match=r"a\.csv changed since the run pinned it"):
        step.sink("out")


@pytest.mark.slow
def test_l5_the_receipt_of_a_second_try_tells_of_the_rows_that_it_published(life: LifecycleLab) -> None:
    """Finding 1; failed on 0.1.0: the receipt told of the first try's rows."""
    life.file("a.csv", "id\n1\n2\n")
    one = life.save(
        life.csv(),
        sql("clean", "SELECT * FROM raw"),
        sink("out", life.named("out"), "append", repeat=True),
        monitor("quality", ROWS, POSITIVE),
        flow="raw>clean>out, clean>quality",
    )
    life.promote(one, QA)
    life.works(QA)

    def both_move() -> None:
        life.foreign("out", "qa", id=9)
        life.file("a.csv", "id\n3\n4\n5\n")

    life.works(QA, at=on("audited", both_move))
    newest = life.receipts("out", QA)[-1]
    assert {one.check: one.observed for one in newest.details.checks} == {"rows": "3", "positive": "0"}

    def worse() -> None:
        life.foreign("out", "qa", id=9)
        life.file("a.csv", "id\n-1\n")

    ran = life.run_in(QA, at=on("audited", worse))
    assert not ran.success
    assert "positive: 1 row(s) fail" in ran.failure
    assert len(life.receipts("out", QA)) == 2
    assert life.on("out", "qa") == [(1,), (2,), (3,), (4,), (5,), (9,), (9,)]
