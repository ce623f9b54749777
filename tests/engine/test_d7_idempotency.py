"""D7: a repeated step finds its own commit, a new launch does not. D8: each sink publishes by itself. D1: pins stay."""

from __future__ import annotations

import pytest
from lab import Lab, files, python, sink

from drls_dagster.engine.client import EngineError
from drls_dagster.ledger import Ledger, PublishRecord

MAY_FAIL = """
def transform(spark, raw):
    import os
    if os.path.exists({marker!r}):
        raise RuntimeError("not now")
    return raw
"""


def two_sinks(lab: Lab) -> str:
    """Two appends of one file; the node before the second fails while `marker` is there."""
    lab.file("a.csv", "id\n1\n")
    return lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        python("second", MAY_FAIL.format(marker=str(lab.landing / "marker"))),
        sink("one", lab.named("one"), repeat=True),
        sink("two", lab.named("two"), repeat=True),
        flow="raw>one, raw>second>two",
    )


def test_d7_d8_a_reexecution_from_failure_keeps_pins_and_commits_and_other_launches_do_not(lab: Lab) -> None:
    text = two_sinks(lab)
    lab.file("marker", "")
    first = lab.run(text)
    # D8: one sink is published and stays, the run is failed.
    assert not first.success
    assert first.failure.startswith("transform() of node 'second' failed: RuntimeError: not now; ")
    assert lab.rows("one") == [(1,)]

    (lab.landing / "marker").unlink()
    lab.file("b.csv", "id\n2\n")  # D1: later than the pin
    resumed = lab.run(text, resume=first.run_id)
    assert resumed.success, resumed.failures
    assert lab.rows("one") == [(1,)]
    assert lab.rows("two") == [(1,)]

    again = lab.run(text, again=first.run_id)
    assert again.success, again.failures
    assert lab.rows("one") == [(1,), (1,), (2,)]
    lab.run(text)
    assert lab.rows("two") == [(1,), (1,), (1,), (2,), (2,)]


def test_d7_a_sink_that_died_behind_its_publish_finds_its_commit_when_the_run_is_resumed(lab: Lab) -> None:
    text = two_sinks(lab)

    def die(stage: str) -> None:
        if stage == "published":
            raise SystemExit("killed")

    first = lab.prepare(text)
    with pytest.raises(SystemExit):
        first.sink("one", die)
    assert lab.rows("one") == [(1,)]
    resumed = lab.prepare(text, run_key=first.run.run_key)
    done = resumed.sink("one")
    assert done.repeated
    assert lab.rows("one") == [(1,)]
    assert lab.branches("one") == []


def test_d7_a_step_that_fails_behind_its_publish_is_retried_and_publishes_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.file("a.csv", "id\n1\n")
    text = lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        sink("one", lab.named("one"), repeat=True),
        flow="raw>one",
        run={"retries": {"attempts": 2, "delay": "0s"}},
    )
    record = Ledger.record_publish
    lost = ["the record"]

    def fails_once(ledger: Ledger, record_: PublishRecord) -> None:
        if lost:
            raise EngineError(f"{lost.pop()} was lost")
        record(ledger, record_)

    monkeypatch.setattr(Ledger, "record_publish", fails_once)
    ran = lab.run(text)
    assert ran.success, ran.failures
    assert ran.retried == ["one"]
    assert ran.tables["one"]["already_published"] is True
    assert lab.rows("one") == [(1,)]
