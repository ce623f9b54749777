from __future__ import annotations

from pathlib import Path

import pytest

from drls_dagster.lakehouse.catalog import spark_catalog_conf
from drls_dagster.settings import CatalogSettings, Settings

KINDS = [
    {},
    {"uri": "postgresql://ada@db:6543/lake"},
    {"type": "rest", "uri": "http://rest/iceberg"},
    {"type": "hive", "uri": "thrift://metastore:9083"},
    {"type": "glue"},
    {"type": "nessie", "uri": "http://nessie:19120/iceberg"},
    {"type": "polaris", "uri": "http://polaris:8181/api/catalog", "warehouse": "sales"},
]


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGUSER", "PGPASSWORD", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)


def conf(home: Path, **catalog: object) -> dict[str, str]:
    """The settings of the catalog itself, without the prefix of its name."""
    everything = spark_catalog_conf(Settings(home=home, catalog=CatalogSettings.model_validate(catalog)))
    prefix = "spark.sql.catalog.lake."
    return {key.removeprefix(prefix): value for key, value in everything.items() if key.startswith(prefix)}


@pytest.mark.parametrize("catalog", KINDS)
def test_d1_spark_never_caches_tables(tmp_path: Path, catalog: dict[str, object]) -> None:
    assert conf(tmp_path, **catalog, properties={"cache-enabled": "true"})["cache-enabled"] == "false"


def test_the_catalog_has_one_name_and_the_extensions(drls_home: Path) -> None:
    everything = spark_catalog_conf(Settings(home=drls_home, catalog=CatalogSettings(name="house")))
    assert everything["spark.sql.catalog.house"] == "org.apache.iceberg.spark.SparkCatalog"
    assert everything["spark.sql.extensions"].endswith("IcebergSparkSessionExtensions")


def test_sqlite_is_the_same_file_with_a_busy_timeout(drls_home: Path) -> None:
    assert conf(drls_home) == {
        "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        "uri": f"jdbc:sqlite:{drls_home}/catalog/catalog.db",
        "jdbc.schema-version": "V1",
        "jdbc.busy_timeout": "60000",
        "warehouse": f"file://{drls_home}/warehouse",
        "cache-enabled": "false",
    }


def test_postgresql_credentials_stay_out_of_the_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG_PASSWORD", "hunter2")
    found = conf(
        tmp_path,
        uri="postgresql+psycopg2://ada@db:6543/lake?sslmode=require",
        warehouse="s3://bucket/lake",
        secrets={"password": "env:CATALOG_PASSWORD"},
    )
    assert found["uri"] == "jdbc:postgresql://db:6543/lake"
    assert (found["jdbc.user"], found["jdbc.password"]) == ("ada", "hunter2")
    assert found["jdbc.sslmode"] == "require"
    assert found["io-impl"] == "org.apache.iceberg.aws.s3.S3FileIO"


def test_postgresql_takes_the_standard_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSER", "bob")
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    found = conf(tmp_path, uri="postgresql://db/lake")
    assert (found["jdbc.user"], found["jdbc.password"]) == ("bob", "hunter2")


def test_storage_properties_are_said_in_both_languages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_SECRET", "hunter2")
    found = conf(
        tmp_path,
        warehouse="s3://bucket/lake",
        properties={"s3.endpoint": "http://minio:9000", "s3.access-key-id": "ada", "s3.region": "eu-west-1"},
        secrets={"s3.secret-access-key": "env:S3_SECRET"},
    )
    assert found["s3.endpoint"] == "http://minio:9000"
    assert (found["s3.access-key-id"], found["s3.secret-access-key"]) == ("ada", "hunter2")
    assert found["client.region"] == "eu-west-1"
    assert found["s3.path-style-access"] == "true"
    assert "s3.region" not in found


def test_virtual_addressing_is_path_style_turned_round(tmp_path: Path) -> None:
    found = conf(tmp_path, warehouse="s3://b/l", properties={"s3.force-virtual-addressing": "true"})
    assert found["s3.path-style-access"] == "false"
    assert "s3.force-virtual-addressing" not in found


@pytest.mark.parametrize("kind", ["rest", "nessie", "polaris"])
def test_rest_nessie_and_polaris_are_one_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("CLIENT", "id:hunter2")
    found = conf(tmp_path, type=kind, uri="http://h/c", warehouse="sales", secrets={"credential": "env:CLIENT"})
    assert (found["type"], found["uri"], found["warehouse"]) == ("rest", "http://h/c", "sales")
    assert found["credential"] == "id:hunter2"
    assert ("scope" in found) == (kind == "polaris")


def test_hive_and_glue_are_known_by_type(tmp_path: Path) -> None:
    hive = conf(tmp_path, type="hive", uri="thrift://m:9083", warehouse="s3://b/l")
    assert (hive["type"], hive["uri"]) == ("hive", "thrift://m:9083")
    assert hive["io-impl"].endswith("S3FileIO")
    glue = conf(tmp_path, type="glue", properties={"glue.region": "eu-west-1"})
    assert (glue["type"], glue["client.region"]) == ("glue", "eu-west-1")
