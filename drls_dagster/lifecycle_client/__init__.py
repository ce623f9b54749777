"""One way to the lifecycle for commands and programs, wherever its store is."""

from __future__ import annotations

from drls_dagster.lifecycle_client.adapters import Adapters
from drls_dagster.lifecycle_client.calls import Lifecycle
from drls_dagster.lifecycle_client.local import LocalLifecycle

__all__ = ["Adapters", "Lifecycle", "LocalLifecycle"]
