"""The example of the format: it loads, it says what it says, and it comes back the same."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from lifecycle.spec import (
    FilesSource,
    RayProcessTransform,
    SparkTransform,
    SpecError,
    TimePartitions,
    digest,
    dump_yaml,
    load_pipeline,
    parse_pipeline,
)


def test_the_example_is_accepted(example: Path) -> None:
    spec = load_pipeline(example)
    assert spec.name == "flights_daily"
    assert spec.owners == ("team:operations", "ada@example.org")
    assert spec.schedule is not None
    assert spec.schedule.timezone == "America/New_York"
    assert isinstance(spec.partitions, TimePartitions)
    assert spec.partitions.end == datetime(2014, 1, 1)
    assert spec.run.retries is not None
    assert spec.run.retries.delay == 10.0
    source = spec.sources[0].source
    assert isinstance(source, FilesSource)
    assert source.options == {"header": "true"}
    scored = spec.node("scored")
    assert isinstance(scored, RayProcessTransform)
    assert list(scored.output_schema) == ["day", "flights", "mean_delay", "late"]
    sink = spec.sinks[0]
    assert (sink.partition_by[0].transform, sink.partition_by[0].column) == ("month", "day")


def test_nodes_know_their_neighbours(example: Path) -> None:
    spec = load_pipeline(example)
    assert spec.topological() == ("flights", "delays", "scored", "daily_delays", "quality")
    assert spec.upstream("delays") == ("flights",)
    assert spec.downstream("delays") == ("scored",)
    assert spec.ancestors("daily_delays") == ("flights", "delays", "scored")
    assert [monitor.id for monitor in spec.monitors_of("daily_delays")] == ["quality"]
    assert spec.used_parameters("delays") == ("min_flights",)
    assert spec.used_parameters("scored") == ()
    assert [node.id for node in spec.transforms] == ["delays", "scored"]
    with pytest.raises(KeyError, match="no node 'nope'"):
        spec.node("nope")


def test_checks_have_names_of_their_own(example: Path) -> None:
    names = [check.name for check in load_pipeline(example).monitors[0].checks]
    assert names == ["row_count", "not_null_day_flights", "unique_day", "range_mean_delay", "in_2013"]


def test_every_kind_is_accepted_and_comes_back_the_same(all_kinds: Path) -> None:
    spec = load_pipeline(all_kinds)
    again = parse_pipeline(dump_yaml(spec))
    assert again == spec
    assert digest(again) == digest(spec)
    assert [check.name for check in spec.monitors[0].checks][-2:] == ["range_x", "range_x_2"]
    assert spec.sinks[1].properties == {"write.spark.fanout.enabled": "true"}
    assert [field.text() for field in spec.sinks[1].partition_by] == ["bucket(16, id)", "day(at)", "r"]


def test_the_written_file_holds_no_defaults_and_keeps_sql_as_a_block(example: Path) -> None:
    text = dump_yaml(load_pipeline(example))
    assert "batch_size" not in text
    assert "severity: blocking" not in text
    assert "name: not_null" not in text
    assert "sql: |" in text
    assert "month(day)" in text


def test_a_spec_cannot_be_changed(example: Path) -> None:
    spec = load_pipeline(example)
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "other"  # type: ignore[misc]
    node = spec.node("delays")
    assert isinstance(node, SparkTransform)
    with pytest.raises(ValueError, match="frozen"):
        node.sql = "SELECT 1"  # type: ignore[misc]


def test_an_error_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("format_version: 1\n")
    with pytest.raises(SpecError) as caught:
        load_pipeline(file)
    assert all(line.startswith(f"{file}: ") for line in str(caught.value).splitlines())


def test_a_file_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nothing\.yaml: the file cannot be read: No such file"):
        load_pipeline(tmp_path / "nothing.yaml")


def test_importing_the_package_does_not_import_the_sql_parser() -> None:
    heavy = "('sqlglot', 'croniter', 'rfc8785')"
    code = f"import sys, lifecycle.spec; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
