"""What a refused run says: what, why, who can change it, and where to look."""

from __future__ import annotations

from drls_dagster.errors import DrlsError
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment


class GateRefused(DrlsError):
    """The lifecycle does not let this run, or this write, happen."""


def refusal(settings: Settings, pipeline: str, environment: Environment, reason: str) -> str:
    """One paragraph for people; the reason is the lifecycle's own."""
    link = f"{settings.app_url.rstrip('/')}/pipelines/{pipeline}"
    return f"DRLS did not let {pipeline} run in {environment.value}: {reason}. See {link}"
