"""A small pipeline that is right, to be changed in one place per test."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.spec import PipelineSpec, Problem, SpecError, parse_pipeline

Change = Callable[[dict[str, Any]], object]

ORDERS: dict[str, Any] = {
    "format_version": 1,
    "name": "orders_daily",
    "nodes": [
        {"id": "orders", "type": "source", "source": {"kind": "iceberg", "table": "sales.orders"}},
        {"id": "daily", "type": "transform", "step": "spark", "sql": "SELECT day, x FROM orders"},
        {"id": "daily_orders", "type": "sink", "table": "sales.daily_orders", "mode": "overwrite"},
        {"id": "quality", "type": "monitor", "checks": [{"kind": "row_count", "min": 1}]},
    ],
    "edges": [
        {"from": "orders", "to": "daily"},
        {"from": "daily", "to": "daily_orders"},
        {"from": "daily_orders", "to": "quality"},
    ],
}  # fmt: skip


@pytest.fixture
def orders() -> dict[str, Any]:
    return copy.deepcopy(ORDERS)


@pytest.fixture
def spec_of() -> Callable[..., PipelineSpec]:
    """The spec of the small pipeline after some changes to it."""

    def build(*changes: Change) -> PipelineSpec:
        data = copy.deepcopy(ORDERS)
        for change in changes:
            change(data)
        return parse_pipeline(json.dumps(data, default=str))

    return build


@pytest.fixture
def problems_of(spec_of: Callable[..., PipelineSpec]) -> Callable[..., tuple[Problem, ...]]:
    """What is found wrong with the small pipeline after some changes to it."""

    def find(*changes: Change) -> tuple[Problem, ...]:
        try:
            spec_of(*changes)
        except SpecError as error:
            return error.problems
        return ()

    return find


@pytest.fixture
def example() -> Path:
    return Path(__file__).parent / "data" / "flights_daily.yaml"


@pytest.fixture
def all_kinds() -> Path:
    return Path(__file__).parent / "data" / "all_kinds.yaml"
