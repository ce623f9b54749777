"""How often a sink loads its own table, and what for; and that what it reads and what it writes are of one look."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from lab import Lab, Step, iceberg, monitor, sink
from lifecycle_lab import LifecycleLab
from pyiceberg.table import Table

from drls_dagster.lakehouse import reread
from drls_dagster.runs import service
from drls_dagster.runs.catalog import RunCatalog
from drls_dagster.steps.frames import Frames
from drls_dagster.steps.kinds import BUILDERS
from drls_dagster.steps.run import Reads
from lifecycle.domain.environment import Environment
from tests.counting_catalog import CountingCatalog

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])


@pytest.mark.parametrize("environment", [Environment.PRODUCTION, Environment.QA])
def test_a_sink_loads_its_table_four_times_and_says_what_for(
    life: LifecycleLab, environment: Environment, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was nine times; and twice in PyIceberg's own commits, as now. The run loads it three times, its publish once."""
    life.catalog.create_namespace_if_not_exists((life.ns,))
    for table in ("src", "out"):
        made = life.catalog.create_table((life.ns, table), SCHEMA)
        made.append(pa.table({"id": [1], "name": ["a"]}, SCHEMA))
    number = life.save(
        iceberg("raw", life.named("src")),
        sink("out", life.named("out"), "overwrite"),
        monitor("checks", {"kind": "row_count", "min": 1}),
        flow="raw>out>checks",
    )
    life.deploy(number, environment) if environment is Environment.PRODUCTION else life.promote(number, environment)
    catalog = CountingCatalog(life.catalog)
    monkeypatch.setattr(service, "load_catalog", lambda _: catalog)
    loads = catalog.loads
    load_table = RunCatalog.load_table

    def counted(own: RunCatalog, identifier: Any) -> Table:
        found = load_table(own, identifier)
        loads[found.name()[-1]] += 1
        return found

    monkeypatch.setattr(RunCatalog, "load_table", counted)
    caplog.set_level(logging.DEBUG, reread.__name__)
    life.works(environment)
    catalog.close()

    again = [record.__dict__["reread"] for record in caplog.records if record.name == reread.__name__]
    assert again == ["SCHEMA", "WRITTEN", "SWAP"], "each for safety, after the first look"
    assert loads == {"out": 1 + len(again), "src": 2}, "the source is pinned, and its rows are counted"
    assert catalog.in_commits == {"out": 2}, "the run's branch is made, and published"


class Moving(Frames):
    """Frames that are built while somebody else writes."""

    def __init__(self, step: Step, act: Callable[[], object]) -> None:
        super().__init__(step.run, BUILDERS)
        self._acts = [act]

    def frame(self, node_id: str, reads: Reads) -> Any:
        while self._acts:
            self._acts.pop()()
        return super().frame(node_id, reads)


def test_d3_a_ref_that_moves_between_reading_and_writing_makes_the_sink_read_again(lab: Lab) -> None:
    """Two runs of one draft at once: rows that one has appended were appended again by the other."""
    lab.create("src", id="long", name="string")
    lab.append("src", (1, "a"))
    text = lab.pipeline(iceberg("raw", lab.named("src"), "incremental"), sink("out", lab.named("out")), flow="raw>out")
    lab.prepare(text).sink("out")
    lab.append("src", (2, "b"))

    step, other = lab.prepare(text), lab.prepare(text)
    step.frames = Moving(step, lambda: other.sink("out"))
    step.sink("out")
    assert lab.rows("out") == [(1, "a"), (2, "b")]
