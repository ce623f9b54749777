"""What a refused run says: what, why, who can change it, and where to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.settings import Settings
from drls_dagster.tags import REFUSED_TAG
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from dagster import DagsterInstance


class GateRefused(DrlsError):
    """The lifecycle does not let this run, or this write, happen."""

    status = 409
    code = "gate"


def refusal(settings: Settings, pipeline: str, environment: Environment, reason: str) -> str:
    """One paragraph for people; the reason is the lifecycle's own."""
    link = f"{settings.app_url.rstrip('/')}/pipelines/{pipeline}"
    return f"DRLS did not let {pipeline} run in {environment.label}: {reason}. See {link}"


def mark_refused(instance: DagsterInstance, run_id: str) -> None:
    """Notes on a run that the gate let none of it happen. For people's eyes: no rule reads it."""
    instance.add_run_tags(run_id, {REFUSED_TAG: "true"})
