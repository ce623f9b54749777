"""The story's versions are the flights example, and differ by what the story says."""

from __future__ import annotations

from pathlib import Path

import pytest

from drls_dagster.demo.versions import first, fresh_name, second, third
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lifecycle_client.local import LocalLifecycle
from drls_dagster.settings import Settings, examples_folder
from lifecycle.spec import PipelineSpec, load_pipeline
from lifecycle.usecases.context import Context

EXAMPLE = examples_folder() / "flights/flights_daily.yaml"


def changed(old: PipelineSpec, new: PipelineSpec) -> set[str]:
    return {node.id for node in old.nodes if node != new.node(node.id)}


def test_the_first_version_is_the_example_under_its_own_name_and_runs_by_itself_never() -> None:
    example, version = load_pipeline(EXAMPLE), first(EXAMPLE, "flights_demo_2")
    assert changed(example, version) == {"daily_delays", "aircraft_use"}
    assert [sink.table for sink in version.sinks] == ["flights_demo_2.daily_delays", "flights_demo_2.aircraft_use"]
    assert (version.name, version.schedule) == ("flights_demo_2", None)


def test_the_second_adds_a_column_and_drops_the_care_that_the_third_takes_again() -> None:
    versions = [make(EXAMPLE, "flights_demo") for make in (first, second, third)]
    assert changed(versions[0], versions[2]) == {"scored", "per_day"}
    assert changed(versions[1], versions[2]) == {"departures"}


def test_an_example_that_was_changed_says_what_the_story_misses(tmp_path: Path) -> None:
    file = tmp_path / "flights.yaml"
    file.write_text(EXAMPLE.read_text().replace("avg(risk) AS mean_risk", "max(risk) AS mean_risk"))
    with pytest.raises(DrlsError, match="does not find 'avg"):
        second(file, "flights_demo")


def test_l16_a_name_that_was_ever_used_is_not_used_again(
    settings: Settings, ctx: Context, admin: LocalLifecycle, tmp_path: Path
) -> None:
    catalog = load_catalog(settings)
    names: list[str] = []

    def fresh() -> str:
        names.append(fresh_name(ctx, catalog, tmp_path))
        return names[-1]

    admin.pipelines.save(first(EXAMPLE, fresh()))
    admin.pipelines.delete(names[-1])
    catalog.create_namespace(f"{fresh()}__development")
    (tmp_path / "draft.yaml").write_text(EXAMPLE.read_text().replace("name: flights_daily", f"name: {fresh()}"))
    fresh()
    assert names == ["flights_demo", "flights_demo_2", "flights_demo_3", "flights_demo_4"]
