"""What a run asks the platform through, where the test's own process is the platform."""

from __future__ import annotations

from drls_dagster.runs.client import RunClient
from drls_dagster.runs.memory import Executing, RunMemory
from drls_dagster.runs.opening import direct
from drls_dagster.runs.part import Part
from drls_dagster.runs.service import RunService
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.spec import PipelineSpec, digest


def client_of(
    settings: Settings,
    spec: PipelineSpec,
    environment: Environment,
    run_id: str,
    run_key: str | None = None,
    service: RunService | None = None,
) -> RunClient:
    """The client of a run; `service`: not that of the home."""
    part = Part(spec.name, digest(spec), environment)
    return RunClient(direct(settings, run_id, run_key or run_id, [part], service), spec.name, environment)


def memory_of(client: RunClient, settings: Settings) -> RunMemory:
    """What the run remembers, executed by this process."""
    return RunMemory(client, Executing(client, settings))
