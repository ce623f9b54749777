"""Queries of people and agents in Spark: one SELECT over pinned snapshots, in a session of its own, within limits."""

from __future__ import annotations

from drls_dagster.engine.queries.asking import query

__all__ = ["query"]
