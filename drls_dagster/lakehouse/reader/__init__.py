"""Reading tables for people and agents: described from metadata, previewed, and asked in SQL."""

from __future__ import annotations

from drls_dagster.lakehouse.reader.port import IcebergTables

__all__ = ["IcebergTables"]
