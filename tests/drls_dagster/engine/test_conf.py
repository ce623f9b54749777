from __future__ import annotations

from pathlib import Path

from drls_dagster.engine.conf import spark_conf
from drls_dagster.engine.credentials import (
    OF_THE_ENGINE,
    SPARK_SECRET,
    engine_secrets,
    java_authentication,
    spark_authentication,
)
from drls_dagster.engine.jars import coordinates, jar_path, missing
from drls_dagster.settings import CatalogSettings, EngineSettings, Settings


def settings_of(home: Path, **more: object) -> Settings:
    return Settings(home=home, **more)  # pyright: ignore[reportArgumentType]


def test_d1_every_spark_catalog_has_no_cache(drls_home: Path) -> None:
    conf = spark_conf(settings_of(drls_home), [], 1234)
    assert conf["spark.sql.catalog.lake.cache-enabled"] == "false"


def test_spark_listens_on_loopback_and_knows_no_token(drls_home: Path) -> None:
    conf = spark_conf(settings_of(drls_home), [], 1234)
    assert conf["spark.connect.grpc.binding.address"] == "127.0.0.1"
    assert not [key for key in conf if "token" in key.lower()]


def test_what_the_jdk_must_open_is_opened_for_all_three_kinds_of_jvm(drls_home: Path) -> None:
    conf = spark_conf(settings_of(drls_home), [], 1234)
    for name in ("driver", "executor", "ray.raydp_app_master"):
        assert "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED" in conf[f"spark.{name}.extraJavaOptions"]


def test_an_executor_without_memory_ends_at_once(drls_home: Path) -> None:
    conf = spark_conf(settings_of(drls_home), [], 1234)
    assert "-XX:+ExitOnOutOfMemoryError" in conf["spark.executor.extraJavaOptions"].split()


def test_a_small_executor_has_regions_in_which_the_pages_of_a_file_fit(drls_home: Path) -> None:
    for memory, given in (("1g", True), ("15g", True), ("16g", False)):  # from there on Java's own are as large
        conf = spark_conf(settings_of(drls_home, engine=EngineSettings(memory=memory)), [], 1234)
        assert ("-XX:G1HeapRegionSize=8m" in conf["spark.executor.extraJavaOptions"].split()) is given
        assert "G1HeapRegionSize" not in conf["spark.driver.extraJavaOptions"]


def test_settings_come_on_top(drls_home: Path) -> None:
    engine = EngineSettings(cores=4, memory="3g", spark_conf={"spark.sql.shuffle.partitions": "64"})
    conf = spark_conf(settings_of(drls_home, engine=engine), [Path("/a.jar"), Path("/b.jar")], 1234)
    assert conf["spark.sql.shuffle.partitions"] == "64"
    assert conf["spark.jars"] == "/a.jar,/b.jar"


def test_only_the_jars_that_the_catalog_needs_are_fetched(drls_home: Path) -> None:
    def artifacts(catalog: CatalogSettings) -> set[str]:
        return {c.split(":")[1] for c in coordinates(settings_of(drls_home, catalog=catalog))}

    assert artifacts(CatalogSettings()) == {"iceberg-spark-runtime-4.1_2.13", "sqlite-jdbc"}
    assert "postgresql" in artifacts(CatalogSettings(uri="postgresql://db/lake"))
    assert "iceberg-aws-bundle" in artifacts(CatalogSettings(warehouse="s3://bucket/lake"))


def test_a_jar_that_is_there_is_not_fetched_again(drls_home: Path) -> None:
    settings = settings_of(drls_home)
    first, second = coordinates(settings)
    jar_path(settings, first).parent.mkdir(parents=True)
    jar_path(settings, first).write_bytes(b"")
    assert missing(settings) == [jar_path(settings, second)]


def test_spark_finds_its_secret_in_the_environment_and_in_no_configuration() -> None:
    first, second = engine_secrets(), engine_secrets()
    assert first[SPARK_SECRET] != second[SPARK_SECRET], "of each start"
    assert not set(spark_authentication().values()) & set(first.values())
    assert spark_authentication()["spark.authenticate"] == "true"
    assert "-Dspark.authenticate=true" in java_authentication()


def test_what_the_engine_keeps_secret_is_named_for_those_who_must_not_inherit_it() -> None:
    assert {name for name, value in engine_secrets().items() if len(value) > 32} <= set(OF_THE_ENGINE)
