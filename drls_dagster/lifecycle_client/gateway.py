"""The lifecycle for what runs unattended: code locations, sensors, run workers. Nobody is signed in there."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from drls_dagster.lifecycle_client.adapters import Adapters
from drls_dagster.lifecycle_client.opening import host, open_existing, os_user, store_url
from drls_dagster.settings import Settings
from lifecycle.domain.people import Actor, WayIn, system_actor
from lifecycle.domain.tables import QueryRows
from lifecycle.usecases.context import Context

_open: dict[tuple[int, Path, str], Context] = {}
_line = threading.Lock()


def connected_adapters(settings: Settings) -> Adapters:
    """The outside as this installation has it: its Iceberg catalog and its Dagster instance."""
    from drls_dagster.lakehouse.altering import IcebergEvolution
    from drls_dagster.lakehouse.data_plane import IcebergDataPlane
    from drls_dagster.lakehouse.reader import IcebergTables
    from drls_dagster.orchestrator import DagsterOrchestrator

    return Adapters(
        IcebergDataPlane(settings),
        DagsterOrchestrator(settings),
        tables=IcebergTables(settings, spark=_spark),
        evolution=IcebergEvolution(settings),
    )


def _spark(*given: Any) -> QueryRows:
    """A query in Spark; its client is imported where there is one."""
    from drls_dagster.engine.queries import query

    return query(*given)


def open_lifecycle(settings: Settings) -> Context:
    """The lifecycle of a home, opened once per process.

    Raises StoreError where it does not exist yet or cannot be reached; the next call tries again.
    """
    # A forked process must not share its parent's database connections.
    key = (os.getpid(), settings.home, store_url(settings))
    with _line:
        if key not in _open:
            _open[key] = open_existing(settings, connected_adapters(settings))
        return _open[key]


def gateway_actor(name: str) -> Actor:
    """The installation acting on its own, for the audit log: `name` says which part of it."""
    return system_actor(name, WayIn.DAGSTER, host(), os_user())
