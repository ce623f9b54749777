from __future__ import annotations

from pathlib import Path

import pytest

from drls_dagster.errors import UsageError
from drls_dagster.launch.choices import Partitions, read_parameters, read_partitions, select_nodes
from drls_dagster.launch.find import find_pipeline
from drls_dagster.orchestrator.instance import dagster_home
from drls_dagster.settings import load_settings
from lifecycle.errors import NotFound
from lifecycle.spec import PipelineSpec, parse_pipeline

DAILY = """
format_version: 1
name: daily
partitions: {kind: daily, start: 2024-01-01, end: 2024-01-11, column: day}
parameters:
  low: {type: integer, default: 1}
  day_of: {type: date, default: 2024-01-31}
  needed: {type: string}
nodes:
  - {id: raw, type: source, source: {kind: files, format: csv, path: "*.csv"}}
  - {id: a, type: transform, step: spark, sql: "SELECT *, :low AS low, :day_of AS d, :needed AS n FROM raw"}
  - {id: b, type: transform, step: spark, sql: "SELECT * FROM a"}
  - {id: out_a, type: sink, table: t.a, mode: overwrite}
  - {id: out_b, type: sink, table: t.b, mode: overwrite}
edges: [{from: raw, to: a}, {from: a, to: b}, {from: a, to: out_a}, {from: b, to: out_b}]
"""


@pytest.fixture
def spec() -> PipelineSpec:
    return parse_pipeline(DAILY)


def test_parameters_are_typed_and_their_defaults_are_left_to_the_pipeline(spec: PipelineSpec) -> None:
    assert read_parameters(spec, ["low=7", "needed=x=y"]) == {"low": 7, "needed": "x=y"}
    assert read_parameters(spec, ["day_of=2024-02-01", "needed="]) == {"day_of": "2024-02-01", "needed": ""}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["needed=x", "low=seven"], "parameter 'low'"),
        (["needed=x", "lo=7"], "has no parameter 'lo'; it has: low, day_of, needed"),
        (["needed"], "is not name=value"),
        ([], "parameter 'needed' has no default"),
    ],
)
def test_a_wrong_parameter_is_named(spec: PipelineSpec, given: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_parameters(spec, given)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-03", Partitions("2024-01-03", "2024-01-03")),
        ("2024-01-03...2024-01-05", Partitions("2024-01-03", "2024-01-05")),
        ("2024-01-0", Partitions("2024-01-01", "2024-01-09")),
        ("all", Partitions("2024-01-01", "2024-01-10")),
    ],
)
def test_a_range_of_time_partitions_is_one_run(spec: PipelineSpec, text: str, expected: Partitions) -> None:
    assert read_partitions(spec, text, each=False) == [expected]


def test_each_makes_one_run_per_partition(spec: PipelineSpec) -> None:
    runs = read_partitions(spec, "2024-01-03...2024-01-05", each=True)
    assert [str(run) for run in runs] == ["2024-01-03", "2024-01-04", "2024-01-05"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "is partitioned; pass --partition"),
        ("2024-02-01", "no partition '2024-02-01'; it has 2024-01-01...2024-01-10"),
        ("2024-01-05...2024-01-03", "2024-01-05 is after 2024-01-03"),
        ("", "no partition ''"),
        ("...2024-01-03", "no partition ''"),
    ],
)
def test_a_wrong_partition_is_named(spec: PipelineSpec, text: str | None, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_partitions(spec, text, each=False)


def test_an_unpartitioned_pipeline_takes_no_partition() -> None:
    spec = parse_pipeline(DAILY.replace("partitions:", "tags: {}\n#"))
    assert read_partitions(spec, None, each=False) == [None]
    with pytest.raises(UsageError, match="is not partitioned"):
        read_partitions(spec, "2024-01-01", each=False)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (None, {"a", "b", "out_a", "out_b"}),
        ("b", {"b"}),
        ("+out_b", {"a", "b", "out_b"}),
        ("b+", {"b", "out_b"}),
        ("out_a, b", {"out_a", "b"}),
    ],
)
def test_a_selection_of_steps(spec: PipelineSpec, selection: str | None, expected: set[str]) -> None:
    assert set(select_nodes(spec, selection)) == expected


@pytest.mark.parametrize("selection", ["raw", "nothing", ",", ""])
def test_a_selection_of_something_else_is_refused(spec: PipelineSpec, selection: str) -> None:
    with pytest.raises(UsageError, match=r"has no step|does not name a step"):
        select_nodes(spec, selection)


def test_a_pipeline_is_found_by_file_and_by_name(tmp_path: Path, drls_home: Path) -> None:
    folder = drls_home / "pipelines"
    folder.mkdir(parents=True)
    file = folder / "some_file.yaml"
    file.write_text(DAILY)
    settings = load_settings()
    for name in ("daily", str(file)):
        assert find_pipeline(name, settings).name == "daily"
    with pytest.raises(NotFound, match=r"no pipeline 'dayly' in .*; there are: daily"):
        find_pipeline("dayly", settings)
    with pytest.raises(UsageError, match="no file"):
        find_pipeline(str(tmp_path / "missing.yaml"), settings)


def test_without_a_pipeline_folder_the_examples_are_found() -> None:
    assert find_pipeline("flights_daily", load_settings()).name == "flights_daily"


def test_an_existing_dagster_yaml_is_left_alone(drls_home: Path) -> None:
    folder = dagster_home(load_settings())
    assert "telemetry" in (folder / "dagster.yaml").read_text()
    (folder / "dagster.yaml").write_text("nux: {enabled: true}\n")
    assert (dagster_home(load_settings()) / "dagster.yaml").read_text() == "nux: {enabled: true}\n"
    assert drls_home in folder.parents


def test_an_example_that_a_folder_of_ones_own_hides_is_named(drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (drls_home / "pipelines").mkdir(parents=True)
    monkeypatch.chdir(Path(__file__).parents[3])
    with pytest.raises(NotFound, match=r"it is an example: drls run examples/flights/flights_daily\.yaml$"):
        find_pipeline("flights_daily", load_settings())
    with pytest.raises(NotFound, match=r"there are: none$"):
        find_pipeline("*", load_settings())


def test_a_pipeline_that_another_file_disables_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed on 0.1.0: "there is no pipeline 'daily'", although it had run before the second file was there."""
    monkeypatch.setenv("DRLS_PIPELINES", str(tmp_path))
    (tmp_path / "one.yaml").write_text(DAILY)
    (tmp_path / "two.yaml").write_text(DAILY.replace("name: daily", "name: other"))
    for name, file in (("daily", "one.yaml"), ("other", "two.yaml")):
        with pytest.raises(UsageError, match=rf"^{file} cannot be used: table t.b also belongs to .*; a table"):
            find_pipeline(name, load_settings())
