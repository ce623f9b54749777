"""The lifecycle behind a server's REST API."""

from __future__ import annotations

from drls_dagster.lifecycle_client.http.lifecycle import HttpLifecycle

__all__ = ["HttpLifecycle"]
