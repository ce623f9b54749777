"""The lifecycle of a store that this process opens itself."""

from __future__ import annotations

from drls_dagster.lifecycle_client.local.lifecycle import LocalLifecycle

__all__ = ["LocalLifecycle"]
