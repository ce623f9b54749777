"""A run of a pipeline on real tables, with DuckDB and PyIceberg where the product has Spark.

All else is the product's: what a source is read at, how a table is made, what a snapshot says of itself, the
permit, the compare-and-set and the receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn, cast

import duckdb

from drls_dagster.gate.publishing import Permitted
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.columns import iceberg_schema
from drls_dagster.lakehouse.locating import look_at
from drls_dagster.lakehouse.prepare import prepare_table
from drls_dagster.lakehouse.separate import may_reshape
from drls_dagster.runs.catalog import RunCatalog
from drls_dagster.runs.service import RunService
from drls_dagster.steps.checks import Finding, evidence_of
from drls_dagster.steps.publishing import publish
from drls_dagster.steps.run import PipelineRun, Reads
from drls_dagster.steps.sink import _publication, _summary
from drls_dagster.steps.sources.iceberg import IcebergPin
from lifecycle.domain.environment import Environment
from lifecycle.domain.run import Admission
from lifecycle.domain.version import Version
from lifecycle.spec import RowCount, SinkNode, SparkTransform
from lifecycle.usecases.parts.specs import spec_of
from lifecycle.usecases.start_run import finish_run
from tests.fakes.lake import LakePlane
from tests.fakes.own_run import client_of, memory_of
from tests.fakes.rows import Row
from tests.lifecycle.life import DAGSTER, Life

_SPARK = {"id": "integer", "note": "string"}  # LakePlane's SCHEMA, as Spark describes it


def run_on_tables(life: Life, version: Version, environment: Environment) -> dict[str, int]:
    """Admitted, every sink written and published, finished; the snapshot of each table.

    Knows SQL steps over Iceberg sources, sinks in mode `overwrite` or `merge`, and row counts for checks.
    """
    spec, lake = spec_of(version), cast(LakePlane, life.plane)
    run_id = life.begin(version, environment, spec.name)
    admission = _admission(life, run_id, version)
    runs = client_of(lake.settings, spec, environment, run_id, service=RunService(lake.settings, lambda: life.ctx))
    gate = Permitted(lake.settings, spec, admission, runs, print)
    catalog = RunCatalog("lake", runs)
    run = PipelineRun(
        spec, environment, lake.settings, catalog, runs, memory_of(runs, lake.settings), _no_engine,
        run_id=run_id, run_key=run_id, parameters={}, gate=gate,
    )  # fmt: skip
    published = {sink.table: _publish(run, lake, sink) for sink in spec.sinks}
    finish_run(life.ctx, DAGSTER, run_id, spec.name)
    return published


def _publish(run: PipelineRun, lake: LakePlane, sink: SinkNode) -> int:
    """One sink: write aside, audit, publish by compare-and-set under a permit."""
    assert run.gate is not None
    (upstream,) = run.spec.upstream(sink.id)
    look = look_at(run.catalog, run.environment, sink.table)
    location = look.location
    schema = iceberg_schema({"fields": [{"name": name, "type": kind} for name, kind in _SPARK.items()]})
    free = may_reshape(run.environment, location)
    prepare_table(run.catalog, look, sink, schema, run.spec.name, free=free)
    reads = run.reads_of(upstream, sink, look)
    base, start = look.own, look.read
    rows = _compute(run, lake, upstream, reads)
    if sink.mode == "merge" and start is not None:
        rows = _merge(
            lake.lake_table(location.name).scan(snapshot_id=start).to_arrow().to_pylist(), rows, sink.keys or ()
        )
    candidate = lake.write(location.name, start, "overwrite", rows, **_summary(run, sink, reads))
    branch = f"drls_run_{run.run_id[:8]}_{sink.id}"
    run.memory.open_branch(location.name, branch, "session", "engine")
    refs.create_branch(run.catalog, run.catalog.load_table(location.identifier), branch, candidate)
    written = run.catalog.load_table(location.identifier)
    made = written.snapshot_by_id(candidate)
    assert made is not None
    checks = evidence_of(run.spec, sink.id, _audit(run, sink, len(rows)))
    publication = replace(_publication(run, sink, written, base, made, reads), checks=checks, seconds=1.0)
    publish(run, location.identifier, publication, branch, None)
    return candidate


def _compute(run: PipelineRun, lake: LakePlane, step: str, reads: Reads) -> list[Row]:
    """What the SQL of a step makes of its sources, each at the snapshot that it is pinned to."""
    node = run.spec.node(step)
    assert isinstance(node, SparkTransform)
    assert node.sql is not None
    with duckdb.connect() as connection:
        for name, read in reads.items():
            table = lake.lake_table(cast(IcebergPin, read.pin).table)
            connection.register(name, table.scan(snapshot_id=read.end).to_arrow())
        return connection.sql(node.sql).to_arrow_table().to_pylist()


def _merge(old: Sequence[Row], new: Sequence[Row], keys: Sequence[str]) -> list[Row]:
    """MERGE: rows of the same key are replaced, others are added; as a whole, as copy-on-write does it."""
    return list({tuple(row[key] for key in keys): row for row in (*old, *new)}.values())


def _audit(run: PipelineRun, sink: SinkNode, rows: int) -> list[Finding]:
    checks = [check for monitor in run.spec.monitors_of(sink.id) for check in monitor.checks]
    results: list[Finding] = []
    for check in checks:
        assert isinstance(check, RowCount)
        passed = (check.min or 0) <= rows
        results.append(Finding(check.name or "", check.kind, passed, check.severity == "blocking", rows, ""))
    return results


def _admission(life: Life, run_id: str, version: Version) -> Admission:
    with life.store.read() as view:
        found = view.runs.admission(run_id, version.pipeline_id)
    assert found is not None
    return found


def _no_engine() -> NoReturn:
    raise AssertionError("this run has no engine")
