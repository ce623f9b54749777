"""The Dagster job of what is deployed, also in a process of its own, which is killed at a chosen moment."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import dagster as dg

from drls_dagster.assets.compile import compile_pipeline
from drls_dagster.lakehouse import refs
from drls_dagster.launch.find import find_pipeline
from drls_dagster.locations.building import Loaded
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment

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
    """`python lifecycle_job.py HOME NAME ENVIRONMENT STAGE`: killed before the compare-and-set, or behind it."""
    home, name, environment, stage = sys.argv[1:]
    publish = refs.publish

    def killed(*arguments: Any, **more: Any) -> None:
        if stage == "behind":
            publish(*arguments, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    refs.publish = killed
    instance = instance_of(load_settings(Path(home)))
    deployed_job(home, name, environment).execute_in_process(instance=instance, run_config=QUIET)


if __name__ == "__main__":
    main()
