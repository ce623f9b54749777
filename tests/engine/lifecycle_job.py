"""The Dagster job of what is deployed, also in a process of its own, which is killed or held at a chosen moment."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from drls_dagster.assets import nodes
from drls_dagster.assets.compile import compile_pipeline
from drls_dagster.lakehouse import refs
from drls_dagster.launch.find import find_pipeline
from drls_dagster.locations.building import Loaded
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment
from tests.waiting import wait_until

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def job_of_loaded(loaded: Loaded, environment: Environment, settings: Settings) -> dg.JobDefinition:
    assert loaded.spec is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = compile_pipeline(
            loaded.spec,
            environment,
            settings,
            search_path=(loaded.path.parent.resolve(),),
            release=loaded.release,
        )
        return made.resolve_job_def(loaded.spec.name)


def deployed_job(home: str, name: str, environment: str) -> dg.JobDefinition:
    """The job of what is deployed: what Dagster calls to make it again."""
    settings = load_settings(Path(home))
    where = Environment(environment)
    return job_of_loaded(find_pipeline(name, settings, where), where, settings)


def main() -> None:
    """`python lifecycle_job.py HOME NAME ENVIRONMENT STAGE [FOLDER]`: killed at a stage, or held there.

    The stages: `written` (its rows are on its branch), `before` the compare-and-set, `behind` it, and `never`. With a
    FOLDER it is held: it makes the file `there`, and goes on when it finds the file `go`.
    """
    home, name, environment, stage, *folder = sys.argv[1:]
    publish, sink = refs.publish, nodes.run_sink

    def reached(found: str) -> None:
        if found == stage:
            hold(Path(*folder)) if folder else os.kill(os.getpid(), signal.SIGKILL)

    def published(*arguments: Any, **more: Any) -> Any:
        reached("before")
        done = publish(*arguments, **more)
        reached("behind")
        return done

    refs.publish, nodes.run_sink = published, partial(sink, at=reached)
    instance = instance_of(load_settings(Path(home)))
    deployed_job(home, name, environment).execute_in_process(instance=instance, run_config=QUIET)


def hold(folder: Path) -> None:
    (folder / "there").touch()
    wait_until((folder / "go").exists, 300)


if __name__ == "__main__":
    main()
