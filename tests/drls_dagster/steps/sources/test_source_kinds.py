"""The registry of source kinds, and the pins that the ledger keeps: a later release reads them, and finds its outputs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from drls_dagster.assets.compile import CannotBuild, compile_pipeline
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import Settings
from drls_dagster.steps.frames import Frames
from drls_dagster.steps.kinds import BUILDERS
from drls_dagster.steps.run import FIRST, PipelineRun, SourceRead
from drls_dagster.steps.sources import kinds
from drls_dagster.steps.sources.kinds import KINDS, kind_of
from lifecycle.domain.environment import Environment
from lifecycle.spec import AnySource, PipelineSpec, parse_pipeline
from tests.fakes.own_run import client_of, memory_of

# As 0.1.0 wrote them, with the recipes' names that they led to.
STORED: dict[str, dict[str, Any]] = {
    "orders": {"table": "sales__development.orders", "uuid": "u-1", "ref": "main", "snapshot": 7},
    "raw": {"files": [["/in/a.csv", 3, 5], ["/in/b.csv", 4, 6]]},
    "beat": {"second": 1_700_000_000},
}
RECIPES = ["orders_e1241e8ce36198cc", "raw_0e53a3acc226a7f7", "beat_c4dedc6d325b6ef0", "joined_98f93e76439b044b"]
SHOWN = {
    "orders": "sales__development.orders@7",
    "raw": "2 file(s), 7 bytes",
    "beat": "2023-11-14T22:13:20+00:00",
}


@pytest.fixture
def spec() -> PipelineSpec:
    return parse_pipeline(
        """
format_version: 1
name: golden
nodes:
- {id: orders, type: source, source: {kind: iceberg, table: sales.orders, read: incremental}}
- {id: raw, type: source, source: {kind: files, format: csv, path: '*.csv'}}
- {id: beat, type: source, source: {kind: rate}}
- {id: joined, type: transform, step: spark, sql: 'SELECT o.id FROM orders o, raw, beat'}
- {id: daily, type: sink, table: sales.daily, mode: overwrite}
edges: [{from: orders, to: joined}, {from: raw, to: joined}, {from: beat, to: joined}, {from: joined, to: daily}]
"""
    )


@pytest.fixture
def run(spec: PipelineSpec, tmp_path: Path) -> PipelineRun:
    settings = Settings(home=tmp_path / "home")

    def no_engine() -> Any:
        raise AssertionError("this run has no engine")

    runs = client_of(settings, spec, Environment.DEVELOPMENT, "later", "earlier")
    return PipelineRun(
        spec, Environment.DEVELOPMENT, settings, load_catalog(settings), runs, memory_of(runs, settings), no_engine,
        run_id="later", run_key="earlier", parameters={},
    )  # fmt: skip


def test_every_source_kind_of_the_file_format_has_a_row() -> None:
    assert {row.spec for row in KINDS} == set(get_args(get_args(AnySource)[0]))
    assert len(KINDS) == len({row.spec for row in KINDS})


def made_of(source: dict[str, Any]) -> PipelineSpec:
    return parse_pipeline(
        json.dumps(
            {
                "format_version": 1,
                "name": "kinds",
                "nodes": [
                    {"id": "made", "type": "source", "source": source},
                    {"id": "kept", "type": "sink", "table": "ns.kept", "mode": "overwrite"},
                ],
                "edges": [{"from": "made", "to": "kept"}],
            }
        )
    )


def test_a_source_kind_that_a_release_does_not_run_is_refused_by_node_with_those_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(kinds._READ, "rate")
    spec = made_of({"kind": "rate"})
    refusal = (
        "pipeline 'kinds', node 'made': this release does not run sources of kind rate; "
        "use iceberg, files, jdbc or kafka$"
    )
    with pytest.raises(CannotBuild, match=refusal):
        compile_pipeline(spec, Environment.DEVELOPMENT, Settings(home=tmp_path))
    with pytest.raises(DrlsError, match="node 'made': this release does not read sources of kind"):
        kind_of(spec.sources[0])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            {"format": "avro"},
            "avro messages need a schema; set schema_file, or registry: {connection, subject, version}",
        ),
        (
            {"format": "avro", "schema_file": "a.avsc", "schema": {"a": "int"}},
            "avro messages have the columns of their Avro schema; remove schema",
        ),
        ({"format": "text", "options": {"sep": ";"}}, "'sep' is no option of text messages; remove it"),
        (
            {"schema": {"a": "int"}, "options": {"kafka.sasl.jaas.config": "evil.Login required;"}},
            "'kafka.sasl.jaas.config' is no option of json messages; there are dateformat",
        ),
        ({"schema": {"a": "int"}, "options": {"mode": "PERMISSIVE"}}, "'mode' is no option of json messages"),
        ({"schema": {"a": "int"}, "options": {"subscribePattern": ".*"}}, "'subscribePattern' is no option of json"),
    ],
)
def test_what_this_release_does_not_do_of_a_topic_is_refused_before_a_run(
    more: dict[str, Any], told: str, tmp_path: Path
) -> None:
    spec = made_of({"kind": "kafka", "connection": "k", "topic": "t", **more})
    with pytest.raises(CannotBuild, match=re.escape(told)):
        compile_pipeline(spec, Environment.DEVELOPMENT, Settings(home=tmp_path))


def test_d7_a_resumed_run_reads_the_pins_that_an_earlier_release_stored(run: PipelineRun) -> None:
    for node, stored in STORED.items():
        run.memory.pin(FIRST, node, lambda stored=stored: stored)
    reads = run.reads_of("joined")
    assert {node: read.pin.stored() for node, read in reads.items()} == STORED
    assert {node: str(read.pin) for node, read in reads.items()} == SHOWN
    assert {node: read.end for node, read in reads.items()} == {"orders": 7, "raw": None, "beat": None}


def test_d2_recipes_have_the_names_under_which_an_earlier_release_kept_their_outputs(run: PipelineRun) -> None:
    pins = {node.id: kind_of(node).pinned(STORED[node.id]) for node in run.spec.sources}
    reads = {
        "orders": SourceRead(pins["orders"], 3, 7),
        "raw": SourceRead(pins["raw"]),
        "beat": SourceRead(pins["beat"]),
    }
    frames = Frames(run, BUILDERS)
    assert [frames.key(node, reads) for node in (*STORED, "joined")] == RECIPES


def test_d1_a_draft_whose_source_is_of_another_kind_than_the_run_it_resumes_is_told_to_start_anew(
    run: PipelineRun,
) -> None:
    run.memory.pin(FIRST, "orders", lambda: STORED["raw"])
    with pytest.raises(DrlsError, match=r"node 'orders': .* a different kind of source there; start a new run"):
        run.reads_of("orders")


def test_the_receipt_has_a_tables_snapshot_and_the_volume_and_fingerprint_of_files(run: PipelineRun) -> None:
    said: dict[str, dict[str, Any]] = {}
    for node in run.spec.sources:
        kind = kind_of(node)
        found = kind.receipt(node.id, node.source, kind.pinned(STORED[node.id]), 7, lambda: "sha256:f")
        said[node.id] = found.model_dump(exclude_none=True, exclude={"node"})
    assert said == {
        "orders": {"name": "sales.orders", "table_uuid": "u-1", "ref": "main", "snapshot": 7},
        "raw": {"name": "raw", "fingerprint": "sha256:f", "files": 2, "bytes": 7},
        "beat": {"name": "beat", "fingerprint": "sha256:f"},
    }
