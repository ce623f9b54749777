from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from drls_dagster.locations.building import build_location
from drls_dagster.pipeline_files import load_folder
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment

PIPELINE = """
format_version: 1
name: {name}
nodes:
  - {{id: raw, type: source, source: {source}}}
  - {{id: clean, type: transform, step: spark, sql: "SELECT * FROM raw"}}
  - {{id: out, type: sink, table: {table}, mode: overwrite}}
edges: [{{from: raw, to: clean}}, {{from: clean, to: out}}]
"""
FILES = '{kind: files, format: csv, path: "*.csv"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pipelines"


def put(folder: Path, name: str, *, source: str = FILES, table: str | None = None, file: str | None = None) -> None:
    folder.mkdir(exist_ok=True)
    text = PIPELINE.format(name=name, source=source, table=table or f"t.{name}")
    (folder / f"{file or name}.yaml").write_text(text)


def location(folder: Path) -> dg.Definitions:
    return build_location(load_folder(folder), Environment.DEVELOPMENT, load_settings())


def jobs(definitions: dg.Definitions) -> set[str]:
    return {job.name for job in definitions.get_repository_def().get_all_jobs()} - {"__ASSET_JOB"}


def broken(definitions: dg.Definitions) -> dict[str, str]:
    return {
        asset.key.path[-1]: asset.description or ""
        for asset in definitions.assets or ()
        if isinstance(asset, dg.AssetSpec) and asset.group_name == "broken"
    }


def test_a_pipeline_that_is_wrong_shows_its_error_and_harms_no_other(folder: Path) -> None:
    put(folder, "good")
    put(folder, "kafka", source="{kind: kafka, connection: bus, topic: clicks, format: avro}")
    (folder / "typo.yaml").write_text(PIPELINE.format(name="typo", source=FILES, table="t.typo").replace("mode", "mod"))
    (folder / "not_yaml.yaml").write_text("format_version: 1\nname: [")
    (folder / "says_nothing.yaml").write_text("a: [1,\n b: }")
    (folder / "values.yaml").write_text("replicas: 3")
    found = location(folder)
    assert jobs(found) == {"good"}
    assert set(broken(found)) == {"kafka", "typo", "not_yaml", "says_nothing"}
    assert "avro messages need a schema; set schema_file" in broken(found)["kafka"]
    assert "did you mean 'mode'?" in broken(found)["typo"]


def test_d11_two_pipelines_that_write_one_table_are_both_shown_with_the_other_ones_name(folder: Path) -> None:
    put(folder, "first", table="t.shared")
    put(folder, "second", table="t.shared")
    put(folder, "third")
    found = location(folder)
    assert jobs(found) == {"third"}
    assert "table t.shared also belongs to 'second' (second.yaml)" in broken(found)["first"]
    assert "table t.shared also belongs to 'first' (first.yaml)" in broken(found)["second"]


def test_two_files_with_one_name_are_both_shown(folder: Path) -> None:
    put(folder, "same", file="one", table="t.one")
    put(folder, "same", file="two", table="t.two")
    assert set(broken(location(folder))) == {"one", "two"}


def test_a_producer_and_two_consumers_of_its_table_load_together(folder: Path) -> None:
    put(folder, "producer", table="t.orders")
    for name in ("consumer_a", "consumer_b"):
        put(folder, name, source="{kind: iceberg, table: t.orders}")
    put(folder, "elsewhere", source="{kind: iceberg, table: other.orders}")
    put(folder, "elsewhere_too", source="{kind: iceberg, table: other.orders}")
    found = location(folder)
    assert broken(found) == {}
    assert jobs(found) == {"producer", "consumer_a", "consumer_b", "elsewhere", "elsewhere_too"}
    graph = found.resolve_asset_graph()
    orders = dg.AssetKey(["development", "lake", "t", "orders"])
    assert graph.get(orders).is_executable
    assert graph.get(orders).child_keys == {
        dg.AssetKey(["development", name, "clean"]) for name in ("consumer_a", "consumer_b")
    }
    assert not graph.get(dg.AssetKey(["development", "lake", "other", "orders"])).is_executable


def test_other_yaml_beside_the_pipelines_is_left_alone(folder: Path) -> None:
    put(folder, "good")
    (folder / "values.yaml").write_text("a: 1\n")
    (folder / ".hidden.yaml").write_text("format_version: 1\n")
    found = location(folder)
    assert (jobs(found), broken(found)) == ({"good"}, {})


def test_a_folder_that_is_not_there_is_an_empty_location(folder: Path) -> None:
    assert jobs(location(folder)) == set()


def test_code_versions_change_with_what_decides_the_output_and_with_nothing_else(folder: Path) -> None:
    def versions() -> dict[str, str | None]:
        graph = location(folder).resolve_asset_graph()
        return {key.path[-1]: graph.get(key).code_version for key in graph.get_all_asset_keys()}

    put(folder, "p", table="t.p")
    before = versions()
    (folder / "p.yaml").write_text((folder / "p.yaml").read_text() + "description: other words\n")
    assert versions() == before
    (folder / "p.yaml").write_text((folder / "p.yaml").read_text().replace("SELECT *", "SELECT 1 AS one, *"))
    after = versions()
    assert after["clean"] != before["clean"]
    assert after["p"] != before["p"]


def test_the_ui_shows_typed_parameters_and_the_schedule_stands_still_in_development(folder: Path) -> None:
    put(folder, "p")
    text = (folder / "p.yaml").read_text().replace('"SELECT * FROM raw"', '"SELECT *, :low AS low FROM raw"')
    (folder / "p.yaml").write_text(
        text
        + 'parameters: {low: {type: integer, default: 3}}\nschedule: {cron: "0 6 * * *", timezone: Europe/Zurich}\n'
    )
    found = location(folder)
    job = found.resolve_job_def("p")
    with pytest.raises(dg.DagsterInvalidConfigError, match="low"):
        dg.validate_run_config(job, {"resources": {"p_parameters": {"config": {"low": "x"}}}})
    resolved = dg.validate_run_config(job, {})
    assert resolved["resources"]["p_parameters"]["config"] == {"low": 3}
    (schedule,) = found.get_repository_def().schedule_defs
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.execution_timezone == "Europe/Zurich"


def test_two_wrong_files_of_one_name_in_two_folders_are_both_shown(folder: Path) -> None:
    put(folder, "good")
    for below in ("a", "b"):
        (folder / below).mkdir()
        (folder / below / "wrong.yaml").write_text(f"format_version: 1\nname: [{below}")
    found = location(folder)
    assert jobs(found) == {"good"}
    assert set(broken(found)) == {"wrong", "wrong_2"}
