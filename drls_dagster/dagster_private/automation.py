"""Sensors and schedules: what they start, and whether somebody stopped them."""

from __future__ import annotations

from dagster._core.definitions.target import AutomationTarget
from dagster._core.scheduler.instigation import InstigatorStatus, InstigatorType
