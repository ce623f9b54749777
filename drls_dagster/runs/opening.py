"""How the process of a run comes to the platform: with the token that it was launched with, or by itself."""

from __future__ import annotations

from collections.abc import Iterable

from drls_dagster.runs.client import Direct, Way
from drls_dagster.runs.handover import required
from drls_dagster.runs.part import Part
from drls_dagster.runs.service import RunService
from drls_dagster.runs.token import bind
from drls_dagster.settings import Settings
from drls_dagster.traces.place import HERE


def way_of(settings: Settings, run_id: str, run_key: str, part: Part) -> Way:
    """Where this process was launched with a token, the service that it is for; else the service in this process.

    Raises GateRefused where a run service runs and this process has no token for it.
    """
    given = required(settings, run_id)
    return direct(settings, run_id, run_key, [part]) if given is None else given.way


def direct(
    settings: Settings, run_id: str, run_key: str, parts: Iterable[Part], service: RunService | None = None
) -> Direct:
    """The service in this process, for a run that the owner of the home executes here."""
    own = service or RunService(settings)
    return Direct(own, own.own_token(bind(run_id, run_key, parts, trace=HERE.get())))
