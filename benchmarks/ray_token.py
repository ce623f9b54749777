"""What a Ray job of a benchmark's own needs to join a running engine's Ray; its account alone can read it."""

from __future__ import annotations

from drls_dagster.engine.credentials import RAY_TOKEN
from drls_dagster.engine.processes import processes_of


def ray_environment(engine_id: str) -> dict[str, str]:
    """The variables that `ray.init` needs. Raises StopIteration where no process of the engine has them."""
    return next(
        {name: found[name] for name in (RAY_TOKEN, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")}
        for found in (process.environ() for process in processes_of(engine_id))
        if RAY_TOKEN in found
    )
