"""Vacuum: compact, rewrite manifests, expire and orphans, each where it is needed."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.maintenance import vacuum
from lifecycle.domain.operations import ExpireOptions, OrphanOptions, VacuumOptions, VacuumResult
from tests.iceberg_tables import make_table
from tests.table_operations import files_there, require_tidy, work_on

OPTIONS = VacuumOptions(
    expire=ExpireOptions(retain_last=1), orphans=OrphanOptions(dry_run=False, older_than=timedelta(days=3))
)


def run() -> VacuumResult:
    work = work_on("n.t")
    return vacuum.execute(work, OPTIONS)


@pytest.mark.slow
def test_a_neglected_table_is_tidy_and_stays_so() -> None:
    table = make_table("n.t", *({"x": [number]} for number in range(8)))
    orphan = Path(table.location().removeprefix("file://")) / "data" / "orphan.parquet"
    orphan.write_bytes(b"x")
    os.utime(orphan, (time.time() - 7 * 86_400,) * 2)
    result = run()
    assert result.compact is not None
    assert (result.compact.rewritten_files, result.compact.new_files) == (8, 1)
    assert result.expire is not None
    assert result.expire.remaining_count == 1
    assert result.orphans is not None
    assert result.orphans.removed_count == 1
    assert sorted(load_catalog().load_table("n.t").scan().to_arrow()["x"].to_pylist()) == list(range(8))
    assert sum(path.endswith(".parquet") for path in files_there("n.t")) == 1
    require_tidy("n.t")
    assert run() == VacuumResult()
