"""What a code location, a run worker, a gate and sensors do at a home: each in a process as they have one."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.lab import serve
from drls_dagster.dagster_private.loading import DefinitionsLoadContext, DefinitionsLoadType, ExecutionPlanSnapshot
from drls_dagster.dagster_private.tried import (
    CodeLocationReconstructionMetadataValue,
    RepositoryLoadData,
    create_execution_plan,
    snapshot_from_execution_plan,
)
from drls_dagster.lifecycle_client.gateway import open_lifecycle
from drls_dagster.locations.deployed import load_environment
from drls_dagster.locations.versions import load_deployed
from drls_dagster.sensors import sensors_of
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import Action
from lifecycle.usecases.may import may

WHERE = Environment.PRODUCTION


class Builder:
    """One home's production, as its processes build and ask it."""

    def __init__(self, home: Path) -> None:
        self.settings = load_settings(home)
        self._pins: dict[str, str] = {}
        self._plan: ExecutionPlanSnapshot | None = None
        self._job = ""

    def location(self) -> dict[str, Any]:
        """All of the environment, and every job of it in Dagster's own repository."""
        with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION)) as context:
            began = time.perf_counter()
            found = load_environment(WHERE, self.settings)
            repository = found.get_repository_def()
            repository.get_all_jobs()
            took = time.perf_counter() - began
            self._pins = dict(context.get_pending_reconstruction_metadata())
        jobs = [name for name in repository.job_names if name != "__ASSET_JOB"]
        keys = found.resolve_asset_graph().get_all_asset_keys()
        definition = found.resolve_job_def(jobs[len(jobs) // 2])
        self._plan = snapshot_from_execution_plan(create_execution_plan(definition), definition.get_job_snapshot_id())
        self._job = definition.name
        broken = sorted(key.path[-1] for key in keys if key.path[1] == "broken")
        return {"took": took, "jobs": len(jobs), "assets": len(keys), "broken": broken}

    def worker(self) -> dict[str, Any]:
        """What the process of one run builds: its plan at hand, and what the code server has built as pins."""

        def core_execute_run(execution_plan_snapshot: ExecutionPlanSnapshot | None) -> dg.Definitions:
            assert execution_plan_snapshot is not None  # it is looked up here, by Dagster's own names
            return load_environment(WHERE, self.settings)

        pins = {key: CodeLocationReconstructionMetadataValue(text) for key, text in self._pins.items()}
        data = RepositoryLoadData(cacheable_asset_data={}, reconstruction_metadata=pins)
        with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.RECONSTRUCTION, data)):
            began = time.perf_counter()
            repository = core_execute_run(self._plan).get_repository_def()
            repository.get_job(self._job)
            took = time.perf_counter() - began
        return {"took": took, "jobs": len(repository.job_names) - 1}

    def decisions(self) -> dict[str, Any]:
        """`may`, in milliseconds."""
        ctx = open_lifecycle(self.settings)
        deployed: dict[str, str] = json.loads(self._pins[f"drls/{WHERE}"])
        choose = random.Random(1)  # noqa: S311
        names, took = sorted(deployed), list[float]()
        for _ in range(1_000):
            name = choose.choice(names)
            began = time.perf_counter()
            answer = may(ctx, name, deployed[name], WHERE, Action.ADMIT)
            took.append(1000 * (time.perf_counter() - began))
            assert answer.allowed, answer.reason
        return {"took": took}

    def sensors(self) -> dict[str, Any]:
        """Each sensor's evaluations in milliseconds, after a first one that looks at everything."""
        specs = [one.spec for one in load_deployed(WHERE, self.settings) if one.spec is not None]
        found: dict[str, list[float]] = {}
        with dg.DagsterInstance.ephemeral() as instance:
            for sensor in sensors_of(WHERE, self.settings, specs):
                cursor, took = None, list[float]()
                for _ in range(12):
                    context = dg.build_sensor_context(instance, cursor=cursor)
                    began = time.perf_counter()
                    data = sensor.evaluate_tick(context)
                    took.append(1000 * (time.perf_counter() - began))
                    cursor = data.cursor
                    assert not data.run_requests
                found[sensor.name] = took[1:]
        return {"took": found}


def main() -> None:
    builder = Builder(Path(sys.argv[1]))
    asked: dict[str, Callable[[], dict[str, Any]]] = {
        "location": builder.location,
        "worker": builder.worker,
        "decisions": builder.decisions,
        "sensors": builder.sensors,
    }
    serve(lambda request: asked[request["what"]]())


if __name__ == "__main__":
    main()
