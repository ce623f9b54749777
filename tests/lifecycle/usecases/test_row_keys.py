"""Which columns are taken to tell rows apart, and on whose word."""

from __future__ import annotations

from typing import Any

from lifecycle.domain.data_diff import RowKey
from lifecycle.spec import PipelineSpec
from lifecycle.usecases.parts.row_keys import row_keys

T = "flights.daily"


def unique(*columns: str, **more: Any) -> dict[str, Any]:
    return {"kind": "unique", "columns": columns, **more}


def spec(
    *checks: dict[str, Any], sink: dict[str, Any] | None = None, above: dict[str, Any] | None = None, **more: Any
) -> PipelineSpec:
    """A sink with `checks` on it, a transform with the check `above`, and another sink with a check of its own."""
    nodes: list[dict[str, Any]] = [
        {"id": "raw", "type": "source", "source": {"kind": "iceberg", "table": "flights_raw.flights"}},
        {"id": "delays", "type": "transform", "step": "spark", "sql": "SELECT * FROM raw"},
        {"id": "daily", "type": "sink", "table": T, "mode": "overwrite", **(sink or {})},
        {"id": "other", "type": "sink", "table": "flights.other", "mode": "overwrite"},
        {"id": "on_other", "type": "monitor", "checks": [unique("tail")]},
    ]
    edges = [("raw", "delays"), ("delays", "daily"), ("delays", "other"), ("other", "on_other")]
    for node, attached, there in (("quality", "daily", checks), ("early", "delays", [above] if above else [])):
        if there:
            nodes.append({"id": node, "type": "monitor", "checks": [*there]})
            edges.append((attached, node))
    data = {"format_version": 1, "name": "flights", "nodes": nodes, **more}
    return PipelineSpec.model_validate({**data, "edges": [{"from": one, "to": two} for one, two in edges]})


def test_what_a_merge_goes_by_comes_before_what_checks_say() -> None:
    merge = spec(unique("day"), sink={"mode": "merge", "keys": ["day", "origin"]})
    assert row_keys(merge, T) == (
        RowKey(columns=("day", "origin"), because="the sink merges rows by this key"),
        RowKey(columns=("day",), because="the check quality.unique_day says it is unique"),
    )


def test_a_unique_check_on_the_sink_is_a_key_and_named() -> None:
    (key,) = row_keys(spec({"kind": "row_count", "min": 1}, unique("day", "origin")), T)
    assert key.columns == ("day", "origin")
    assert key.because == "the check quality.unique_day_origin says they are unique"


def test_blocking_comes_before_warn_then_few_columns_then_their_names() -> None:
    checks = (unique("a", severity="warn"), unique("d", "c", "b"), unique("e", "f"), unique("e", "d"))
    expected = [("e", "d"), ("e", "f"), ("d", "c", "b"), ("a",)]
    assert [key.columns for key in row_keys(spec(*checks), T)] == expected
    assert [key.columns for key in row_keys(spec(*reversed(checks)), T)] == expected


def test_the_same_columns_are_one_key() -> None:
    checks = (unique("Day", "origin", "day"), unique("origin", "day", name="again", severity="warn"))
    merge = spec(*checks, sink={"mode": "merge", "keys": ["day", "origin"]})
    assert [key.columns for key in row_keys(merge, T)] == [("day", "origin")]


def test_checks_of_another_sink_of_what_is_before_it_and_of_no_sink_are_no_promise_of_this_one() -> None:
    assert row_keys(spec({"kind": "not_null", "columns": ["day"]}, above=unique("day")), T) == ()
    assert row_keys(spec(), "flights.unknown") == ()


def test_d6_a_check_that_sees_one_window_at_a_time_is_a_key_together_with_the_window() -> None:
    partitions = {"kind": "daily", "start": "2013-01-01", "column": "day"}
    by_window = spec(unique("origin"), sink={"mode": "overwrite_partitions"}, partitions=partitions)
    (key,) = row_keys(by_window, T)
    assert key.columns == ("day", "origin")
    assert key.because == "the check quality.unique_origin says origin is unique in each partition by day"
    whole = spec(unique("Day", "origin"), sink={"mode": "overwrite_partitions"}, partitions=partitions)
    assert [key.columns for key in row_keys(whole, T)] == [("Day", "origin")]
    merged = spec(unique("origin"), sink={"mode": "merge", "keys": ["id"]}, partitions=partitions)
    assert [key.columns for key in row_keys(merged, T)] == [("id",), ("origin",)], "its check sees the whole table"
