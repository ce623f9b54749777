"""A query whose `:name` has no value names its node (finding 26)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from drls_dagster.errors import DrlsError
from drls_dagster.steps.spark import arguments_of


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("least", "pass --param least=…, or give the parameter a default"),
        ("partition_start", "run one of the pipeline's partitions"),
        ("partition_key", "run one of the pipeline's partitions"),
    ],
)
def test_a_value_that_is_missing_names_the_node_and_the_way_to_give_it(name: str, remedy: str) -> None:
    """Failed before: "no value for :least", of whichever node."""
    run: Any = SimpleNamespace(parameters={"other": 1}, window=None)
    with pytest.raises(DrlsError) as refused:
        arguments_of(run, "daily", f"SELECT :other, :{name} FROM orders")
    assert str(refused.value) == f"node 'daily': no value for :{name}; {remedy}"
