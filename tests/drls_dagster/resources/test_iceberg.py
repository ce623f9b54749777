from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from drls_dagster.resources.iceberg import Iceberg


def test_an_asset_uses_the_catalog_and_its_run_stores_no_credential(
    drls_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_TOKEN", "hunter2")
    monkeypatch.setenv("DRLS_CATALOG__SECRETS", json.dumps({"token": "env:LAKE_TOKEN"}))

    @dg.asset
    def daily(iceberg: Iceberg) -> dg.MaterializeResult[None]:
        catalog = iceberg.catalog()
        catalog.create_namespace("flights")
        table = catalog.create_table("flights.daily", schema=pa.schema([("x", pa.int64())]))
        table.append(pa.table({"x": [1, 2]}))
        return dg.MaterializeResult(metadata={"dagster/row_count": table.scan().count()})

    iceberg = Iceberg()
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([daily], resources={"iceberg": iceberg}, instance=instance)
        assert result.success
        stored = repr(instance.get_run_by_id(result.run_id)) + repr(instance.all_logs(result.run_id))
    assert "hunter2" not in stored + repr(iceberg) + repr(iceberg.settings())
    assert iceberg.spark_conf()["spark.sql.catalog.lake.token"] == "hunter2"
    assert (drls_home / "catalog" / "catalog.db").is_file()


def test_a_home_can_be_named(tmp_path: Path) -> None:
    named = Iceberg(home=str(tmp_path / "other"))
    assert named.settings().home == tmp_path / "other"
    assert named.catalog() is not Iceberg().catalog()
