"""What Spark left on its branch: believed only as far as it was checked, and removed with nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.manifest import DataFile

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.rewriting import Manifests
from drls_dagster.maintenance import compact
from drls_dagster.maintenance.compact import spark
from drls_dagster.maintenance.compact.selecting import select
from lifecycle.domain.operations import CompactOptions
from tests.iceberg_tables import make_table
from tests.table_operations import files_needed, files_there, require_tidy, work_on

NAME, BRANCH = "n.t", "drls-maintain-spark-x"


def begun() -> int:
    """A table with small files, and the branch for Spark at its head."""
    table = make_table(NAME, *[{"x": [number]} for number in range(5)])
    base = refs.head(table, "main")
    assert base is not None
    refs.create_branch(load_catalog(), table, BRANCH, base)
    return base


def written() -> Any:
    work = replace(work_on(NAME), governed=True)
    manifests = Manifests(work.table.io)
    return spark._written(work, BRANCH, select(work.table, "main", CompactOptions(), manifests), manifests)


def test_l15_what_spark_made_for_production_is_compared_with_what_was_there() -> None:
    begun()
    compact.execute(work_on(NAME, BRANCH), CompactOptions(all=True))
    [made] = written()
    assert (len(made.group.files), len(made.files)) == (5, 1)

    load_catalog().load_table(NAME).overwrite(pa.table({"x": [0, 1, 2, 3, 5]}), branch=BRANCH)
    with pytest.raises(DrlsError, match="what Spark made holds other rows: column x has other values"):
        written()


def test_sparks_branch_is_removed_with_its_files_and_with_none_of_others(drls_home: Path) -> None:
    base = begun()
    kept = drls_home / "warehouse" / "other.parquet"
    kept.write_bytes(b"another table's")
    outside = drls_home / "secret.parquet"
    outside.write_bytes(b"x")
    table = load_catalog().load_table(NAME)
    table.append(pa.table({"x": [9]}), branch=BRANCH)
    with table.transaction() as change, change.update_snapshot(branch=BRANCH).fast_append() as append:
        [like, *_] = [one.file for one in table.scan().plan_files()]
        for path in (kept, outside):
            forged = DataFile(*like._data)
            forged._data[1] = f"file://{path}"
            forged.spec_id = 0
            append.append_data_file(forged)

    work = work_on(NAME)
    spark._drop(work, BRANCH, base)

    assert kept.exists()
    assert outside.exists()
    assert BRANCH not in work.table.metadata.refs
    assert files_needed(NAME) <= files_there(NAME)
    require_tidy(NAME)
    assert work.journal.notes(spark.FILES) == []
