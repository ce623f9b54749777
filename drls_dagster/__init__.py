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
    from drls_dagster.python_api.changes import Changes
    from drls_dagster.python_api.tables import Table, table, tables
    from drls_dagster.settings import Settings, load_settings
    from lifecycle.spec import PipelineSpec, SpecError, dump_yaml, json_schema, load_pipeline, parse_pipeline

__all__ = [
    "Changes",
    "DrlsError",
    "PipelineComponent",
    "PipelineSpec",
    "Settings",
    "SpecError",
    "Table",
    "UsageError",
    "dump_yaml",
    "json_schema",
    "load_catalog",
    "load_pipeline",
    "load_settings",
    "parse_pipeline",
    "table",
    "tables",
]

# Where each name is; importing Dagster, PyIceberg or the spec here would slow every command down.
_MODULES = {
    "Changes": "drls_dagster.python_api.changes",
    "DrlsError": "drls_dagster.errors",
    "PipelineComponent": "drls_dagster.component",
    "PipelineSpec": "lifecycle.spec",
    "Settings": "drls_dagster.settings",
    "SpecError": "lifecycle.spec",
    "Table": "drls_dagster.python_api.tables",
    "UsageError": "drls_dagster.errors",
    "dump_yaml": "lifecycle.spec",
    "json_schema": "lifecycle.spec",
    "load_catalog": "drls_dagster.lakehouse.catalog",
    "load_pipeline": "lifecycle.spec",
    "load_settings": "drls_dagster.settings",
    "parse_pipeline": "lifecycle.spec",
    "table": "drls_dagster.python_api.tables",
    "tables": "drls_dagster.python_api.tables",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
