"""F13: `validate` knows what Dagster refuses; what Dagster only cannot show, it is not given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drls_dagster.assets.compile import compile_pipeline
from drls_dagster.dagster_private.tried import DISALLOWED_NAMES
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment
from lifecycle.spec import PipelineSpec, SpecError, parse_pipeline

ALL = "SELECT * FROM raw"


def spec(sql: str = ALL, **more: Any) -> PipelineSpec:
    source = {"kind": "files", "format": "csv", "path": "*.csv", "schema": {"at": "timestamp", "region": "string"}}
    return parse_pipeline(
        json.dumps(
            {
                "format_version": 1,
                "name": "orders",
                "nodes": [
                    {"id": "raw", "type": "source", "source": source},
                    {"id": "part", "type": "transform", "step": "spark", "sql": sql},
                    {"id": "out", "type": "sink", "table": "a.b", "mode": "overwrite"},
                ],
                "edges": [{"from": "raw", "to": "part"}, {"from": "part", "to": "out"}],
                **more,
            }
        )
    )


def static(*values: str) -> dict[str, Any]:
    return {"partitions": {"kind": "static", "values": list(values), "column": "region"}}


def daily(start: str, end: str, zone: str = "UTC") -> dict[str, Any]:
    return {"partitions": {"kind": "daily", "start": start, "end": end, "column": "at", "timezone": zone}}


def problem(**more: Any) -> str:
    with pytest.raises(SpecError) as refused:
        spec(**more)
    return str(refused.value)


@pytest.mark.parametrize("name", sorted(n for n in DISALLOWED_NAMES if n.islower()))
def test_f13_names_that_dagster_has_for_itself_are_refused(name: str) -> None:
    """Failed on 0.1.0: "Failed to resolve asset job class", when it was loaded."""
    assert f"Dagster cannot have a job called '{name}'" in problem(name=name)


@pytest.mark.parametrize("value", ["a...b", "...", "a...."])
def test_f13_a_partition_that_reads_as_a_range_is_refused(value: str) -> None:
    """Failed on 0.1.0: valid, then "This is a defect"."""
    assert f"'{value}' contains '...'" in problem(**static(value, "us"))


@pytest.mark.parametrize("start", ["0001-01-01", "0999-12-31"])
def test_f13_partitions_before_dagsters_calendar_are_refused(start: str) -> None:
    assert "Dagster has no partitions before the year 1001" in problem(**daily(start, "1002-01-01"))


@pytest.mark.parametrize("cron", ["0 0 15W * *", "0 0 1w * *", "R 0 * * *", "0 R/2 * * *"])
def test_f13_what_dagster_does_not_know_in_a_cron_expression_is_refused(cron: str) -> None:
    """Failed before: valid, and the pipeline did not load; `R` was another time at each look."""
    assert "in the cron expression is not known to Dagster" in problem(schedule={"cron": cron})


@pytest.mark.parametrize(
    "more",
    [
        {"tags": {"a b": "x", "team/unit": "y", "k" * 100: "z", "": "w", "dagster/priority": "1"}},
        {"tags": {"time": "12:30:45", "note": "Sales & Ops", "long": "v" * 300, "plain": "yes", "empty": ""}},
        {"owners": ["ada@example.engineering", "team:risk", "grace@example.org", "a@-b.c"]},
        {"name": "p" * 63},
        {"name": "a__b"},
        static("[a]", "a,b", "a|b", "a/b", "größe", "日本", "😀", "x" * 255, "a..b", 'it\'s "q"'),
        daily("1001-01-01", "1001-03-01"),
        daily("9999-12-01", "9999-12-31"),
        daily("2024-01-01", "2024-02-01", "localtime"),
        daily("1880-01-01", "1880-01-03", "America/New_York"),
        {"schedule": {"cron": "0 0 L * *", "timezone": "Etc/GMT+12"}},
        {"schedule": {"cron": "5-5 0 * JAN 1#2"}},
        {"schedule": {"cron": "0 0 ? MAR,APR FRI,L5"}},
        {"run": {"retries": {"attempts": 100, "delay": 1e9, "backoff": "exponential"}}},
        {"description": "<b>x</b>\n" * 1000},
    ],
)
def test_f13_what_validates_loads_in_dagster(more: dict[str, Any]) -> None:
    compile_pipeline(spec(**more), Environment.DEVELOPMENT, load_settings())


def test_tags_and_owners_that_dagster_does_not_take_are_in_its_metadata() -> None:
    """Failed on 0.1.0: one of them kept the pipeline from loading."""
    found = compile_pipeline(
        spec(tags={"domain": "sales", "time": "12:30:45"}, owners=["team:risk", "ada@example.engineering"]),
        Environment.DEVELOPMENT,
        load_settings(),
    )
    for asset in found.resolve_asset_graph().asset_nodes:
        if asset.is_executable:
            assert asset.tags["drls/domain"] == "sales"
            assert "drls/time" not in asset.tags
            assert asset.owners == ["team:risk"]
            assert (asset.metadata["tag time"], asset.metadata["more owners"]) == (
                "12:30:45",
                "ada@example.engineering",
            )
