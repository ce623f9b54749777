"""DRLS in Python: `import drls_dagster as drls`.

The names in `__all__` are the public API: typed, documented in docs/reference/python.md, and changed only
with a line in the changelog. Everything else may change without notice. Each name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drls_dagster.component import PipelineComponent
    from drls_dagster.errors import DrlsError, UsageError
    from drls_dagster.lakehouse.catalog import load_catalog
    from drls_dagster.python_api.building import Pipeline
    from drls_dagster.python_api.changes import Changes
    from drls_dagster.python_api.exchanging import from_ray, to_ray
    from drls_dagster.python_api.notebook_pipeline import notebook_pipeline
    from drls_dagster.python_api.reading import Rows, read
    from drls_dagster.python_api.running import RunResult, run
    from drls_dagster.python_api.saving import save
    from drls_dagster.python_api.sessions import init_spark, spark, stop, stop_spark
    from drls_dagster.python_api.tables import Table, table, tables
    from drls_dagster.python_api.testing.tested import Tested, test
    from drls_dagster.settings import Settings, load_settings
    from lifecycle import spec
    from lifecycle.spec import PipelineSpec, SpecError, dump_yaml, json_schema, load_pipeline, parse_pipeline

__all__ = [
    "Changes",
    "DrlsError",
    "Pipeline",
    "PipelineComponent",
    "PipelineSpec",
    "Rows",
    "RunResult",
    "Settings",
    "SpecError",
    "Table",
    "Tested",
    "UsageError",
    "dump_yaml",
    "from_ray",
    "init_spark",
    "json_schema",
    "load_catalog",
    "load_pipeline",
    "load_settings",
    "notebook_pipeline",
    "parse_pipeline",
    "read",
    "run",
    "save",
    "spark",
    "spec",
    "stop",
    "stop_spark",
    "table",
    "tables",
    "test",
    "to_ray",
]

# Where each name is; importing Dagster, PyIceberg or the spec here would slow every command down.
_MODULES = {
    "Changes": "drls_dagster.python_api.changes",
    "DrlsError": "drls_dagster.errors",
    "Pipeline": "drls_dagster.python_api.building",
    "PipelineComponent": "drls_dagster.component",
    "PipelineSpec": "lifecycle.spec",
    "Rows": "drls_dagster.python_api.reading",
    "RunResult": "drls_dagster.python_api.running",
    "Settings": "drls_dagster.settings",
    "SpecError": "lifecycle.spec",
    "Table": "drls_dagster.python_api.tables",
    "Tested": "drls_dagster.python_api.testing.tested",
    "UsageError": "drls_dagster.errors",
    "dump_yaml": "lifecycle.spec",
    "from_ray": "drls_dagster.python_api.exchanging",
    "init_spark": "drls_dagster.python_api.sessions",
    "json_schema": "lifecycle.spec",
    "load_catalog": "drls_dagster.lakehouse.catalog",
    "load_pipeline": "lifecycle.spec",
    "load_settings": "drls_dagster.settings",
    "notebook_pipeline": "drls_dagster.python_api.notebook_pipeline",
    "parse_pipeline": "lifecycle.spec",
    "read": "drls_dagster.python_api.reading",
    "run": "drls_dagster.python_api.running",
    "save": "drls_dagster.python_api.saving",
    "spark": "drls_dagster.python_api.sessions",
    "spec": "lifecycle.spec",
    "stop": "drls_dagster.python_api.sessions",
    "stop_spark": "drls_dagster.python_api.sessions",
    "table": "drls_dagster.python_api.tables",
    "tables": "drls_dagster.python_api.tables",
    "test": "drls_dagster.python_api.testing.tested",
    "to_ray": "drls_dagster.python_api.exchanging",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_MODULES[name])
    return module if name == "spec" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
