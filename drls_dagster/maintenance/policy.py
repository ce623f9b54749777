"""What may happen to a table without being asked: the settings, or what the table's own properties say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from drls_dagster.maintenance_settings import MaintenanceSettings, Mode

MODE, BELOW = "mode", "below"


@dataclass(frozen=True)
class Policy:
    """`below` is the score from which on a table needs maintenance. `wrong`: a property that says nothing valid."""

    mode: Mode
    below: int
    wrong: str = ""


def policy_of(own: Mapping[str, str], settings: MaintenanceSettings) -> Policy:
    """The policy of a table whose properties `drls.maintenance.*` are `own`. What is wrong there allows nothing."""
    mode, below = own.get(MODE, settings.mode), own.get(BELOW, str(settings.below))
    if mode not in get_args(Mode):
        return Policy(
            "report", settings.below, f"drls.maintenance.{MODE} is {mode!r}; use {' or '.join(get_args(Mode))}"
        )
    if not (below.isdecimal() and int(below) <= 100):
        return Policy("report", settings.below, f"drls.maintenance.{BELOW} is {below!r}; use a number from 0 to 100")
    return Policy("off" if mode == "off" else "report", int(below))
