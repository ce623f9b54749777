"""Expiry and orphans of tables in a bucket."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.maintenance import expire, manifests, orphans
from lifecycle.domain.operations import ExpireOptions, ManifestOptions, OrphanOptions
from tests.iceberg_tables import make_table
from tests.s3_server import KEY, SECRET, running_s3
from tests.table_operations import files_needed, files_there, work_on

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s3")


@pytest.fixture(scope="module")
def server(disk: Path) -> Iterator[str]:
    with running_s3(disk, "lake") as address:
        yield address


@pytest.fixture
def warehouse(server: str, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder behind the bucket's part of this test."""
    monkeypatch.setenv("LAB_SECRET", SECRET)
    monkeypatch.setenv("DRLS_CATALOG__WAREHOUSE", f"s3://lake/{tmp_path.name}")
    monkeypatch.setenv(
        "DRLS_CATALOG__PROPERTIES",
        f'{{"s3.endpoint": "http://{server}", "s3.access-key-id": "{KEY}", "s3.region": "us-east-1"}}',
    )
    monkeypatch.setenv("DRLS_CATALOG__SECRETS", '{"s3.secret-access-key": "env:LAB_SECRET"}')
    return disk / "lake" / tmp_path.name


def test_objects_go_when_nothing_needs_them(warehouse: Path) -> None:
    table = make_table("n.t", *({"x": [number]} for number in range(4)))
    table.overwrite(pa.table({"x": [7]}))
    work, options = work_on("n.t"), ManifestOptions()
    manifests.execute(work, options)
    work, last = work_on("n.t"), ExpireOptions(retain_last=1)
    result = expire.execute(work, last)
    assert result.remaining_count == 1
    assert result.deleted_bytes > 0
    assert files_there("n.t") == files_needed("n.t")
    assert load_catalog().load_table("n.t").scan().to_arrow().to_pydict() == {"x": [7]}
    assert warehouse.exists()


def test_orphans_are_found_under_any_scheme(warehouse: Path) -> None:
    table = make_table("n.t", {"x": [1]})
    (named,) = (one.file.file_path for one in table.scan().plan_files())
    source = warehouse / named.partition(f"{warehouse.name}/")[2]
    source.with_name("other.parquet").write_bytes(source.read_bytes())
    table.add_files([named.rpartition("/")[0].replace("s3://", "s3a://") + "/other.parquet"])
    orphan = source.with_name("orphan.parquet")
    orphan.write_bytes(b"x" * 20)
    for one in warehouse.rglob("*"):
        os.utime(one, (time.time() - 7 * 86_400,) * 2)
    work, options = work_on("n.t"), OrphanOptions(dry_run=False, older_than=timedelta(days=3))
    result = orphans.execute(work, options)
    assert (result.orphan_count, result.removed_count, result.removed_bytes) == (1, 1, 20)
    assert not orphan.exists()
    assert files_there("n.t") == files_needed("n.t")
