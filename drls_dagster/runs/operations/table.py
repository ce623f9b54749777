"""All operations, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drls_dagster.runs.operation import Operation
from drls_dagster.runs.operations import admission, connections, memory, publishing, tables, tracing, upkeep, version

OPERATIONS: Mapping[str, Operation[..., Any]] = {
    one.name: one
    for module in (admission, connections, memory, publishing, tables, tracing, upkeep, version)
    for one in vars(module).values()
    if isinstance(one, Operation)
}
