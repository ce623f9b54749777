"""Changes of a table that somebody makes by hand: planned from metadata, applied in one commit."""

from __future__ import annotations

from drls_dagster.lakehouse.altering.port import IcebergEvolution

__all__ = ["IcebergEvolution"]
