"""Rewriting manifests: fewer of them, the same files, sequence numbers and rows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.maintenance import manifests
from drls_dagster.maintenance.work import Keep
from lifecycle.domain.operations import ManifestOptions, ManifestResult
from tests.iceberg_tables import make_table
from tests.table_operations import content, require_tidy, work_on


def run(name: str, options: ManifestOptions = ManifestOptions(), ref: str = "main") -> ManifestResult:  # noqa: B008
    work = work_on(name, ref)
    return manifests.execute(work, options)


def entries(name: str, ref: str = "main") -> set[tuple[Any, ...]]:
    table = load_catalog().load_table(name)
    at = table.snapshot_by_name(ref)
    assert at is not None
    return {
        (one.data_file.file_path, one.snapshot_id, one.sequence_number, one.file_sequence_number)
        for manifest in at.manifests(table.io)
        for one in manifest.fetch_manifest_entry(table.io)
    }


def test_many_become_one_and_entries_stay_as_they_are() -> None:
    table = make_table("n.t", *({"x": [number]} for number in range(8)))
    table.delete("x = 3")
    before, rows = entries("n.t"), content("n.t")
    planned = manifests.plan(load_catalog().load_table("n.t"), "main", ManifestOptions(), Keep())
    assert planned.needed
    assert (planned.figures["manifests_before"], planned.figures["manifests_after"]) == (8, 1)
    assert run("n.t") == ManifestResult(rewritten_manifests=8, new_manifests=1)
    assert (entries("n.t"), content("n.t")) == (before, rows)
    head = load_catalog().load_table("n.t").current_snapshot()
    assert head is not None
    assert head.summary is not None
    assert head.summary.operation.value == "replace"
    assert run("n.t") == ManifestResult(rewritten_manifests=0, new_manifests=0)
    require_tidy("n.t")


def test_a_target_size_makes_several() -> None:
    make_table("n.t", *({"x": [number]} for number in range(20)))
    before = entries("n.t")
    result = run("n.t", ManifestOptions(target_bytes=5_000))
    assert 1 < result.new_manifests < 20
    assert entries("n.t") == before


def test_a_branch_is_rewritten_alone() -> None:
    table = make_table("n.t", {"x": [1]}, {"x": [2]})
    table.manage_snapshots().create_branch(table.metadata.snapshots[1].snapshot_id, "b").commit()
    load_catalog().load_table("n.t").append(pa.table({"x": [3]}), branch="b")
    main = load_catalog().load_table("n.t").metadata.refs["main"].snapshot_id
    before = content("n.t")
    assert run("n.t", ref="b").rewritten_manifests == 3
    assert content("n.t") == before
    assert load_catalog().load_table("n.t").metadata.refs["main"].snapshot_id == main
    with pytest.raises(UsageError, match="no branch 'c'"):
        run("n.t", ref="c")


_KILLED = """
import os, signal, sys
from pyiceberg.catalog.sql import SqlCatalog
from drls_dagster.lakehouse import rewriting
from drls_dagster.maintenance import manifests
from lifecycle.domain.operations import ManifestOptions
from tests.table_operations import FileJournal, work_on

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

step = sys.argv[1]
work = work_on("n.t")
if step == "with a manifest written":
    rewriting.write_manifest_list = die
elif step == "before the commit":
    SqlCatalog.commit_table = die
elif step == "between metadata and catalog":
    real = SqlCatalog._write_metadata
    def write(*given, **named):
        real(*given, **named)
        die()
    SqlCatalog._write_metadata = staticmethod(write)
elif step == "before the end":
    FileJournal.settle = die
manifests.execute(work, ManifestOptions())
"""


@pytest.mark.parametrize(
    "step", ["with a manifest written", "before the commit", "between metadata and catalog", "before the end"]
)
@pytest.mark.slow
def test_a_killed_one_leaves_nothing_after_the_next(step: str) -> None:
    make_table("n.t", *({"x": [number]} for number in range(5)))
    before = content("n.t")
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, step], env={**os.environ, "PYTHONPATH": os.getcwd()}, timeout=240, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert content("n.t") == before
    run("n.t")
    assert content("n.t") == before
    require_tidy("n.t")
