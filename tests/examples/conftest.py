"""The examples, run through Dagster as `drls run` runs them, and compared with DuckDB over the same files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.launch.choices import read_partitions, select_nodes
from drls_dagster.launch.find import find_pipeline
from drls_dagster.launch.progress import RunOutcome
from drls_dagster.launch.run import launch
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
Run = Callable[..., RunOutcome]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture
def run_example(engine: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs an example, all its partitions in one run; tables of earlier runs are dropped before."""
    monkeypatch.setenv("DRLS_HOME", str(engine.home))

    def run(path: str, *, again: bool = False, **parameters: Any) -> RunOutcome:
        loaded = find_pipeline(str(EXAMPLES / path), engine)
        assert loaded.spec is not None
        catalog = load_catalog(engine)
        for sink in loaded.spec.sinks:
            namespace, _, name = sink.table.partition(".")
            if not again and catalog.table_exists((f"{namespace}__development", name)):
                catalog.drop_table((f"{namespace}__development", name))
        partitioned = loaded.spec.partitions is not None
        (window,) = read_partitions(loaded.spec, "all" if partitioned else None, each=False)
        nodes = select_nodes(loaded.spec, None)
        outcome = launch(loaded, engine, Environment.DEVELOPMENT, nodes=nodes, parameters=parameters, partitions=window)
        assert outcome.success, outcome.failure
        return outcome

    return run
