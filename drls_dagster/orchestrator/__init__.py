"""Dagster as the lifecycle sees it: what runs, what to load again, what to start."""

from __future__ import annotations

from drls_dagster.orchestrator.dagster_orchestrator import DagsterOrchestrator

__all__ = ["DagsterOrchestrator"]
