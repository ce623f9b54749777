"""What a run launcher is handed."""

from __future__ import annotations

from dagster._core.launcher import LaunchRunContext
