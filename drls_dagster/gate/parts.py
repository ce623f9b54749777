"""What a Dagster run consists of, read from its execution plan: tags and names can be set by a caller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from drls_dagster.orchestrator.step_tags import step_tags
from drls_dagster.runs.part import Part
from drls_dagster.tags import ENVIRONMENT_TAG, MAINTENANCE, MAINTENANCE_TAG, PIPELINE_TAG, VERSION_TAG
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun


def parts_of(instance: DagsterInstance, run: DagsterRun) -> tuple[Part, ...]:
    """The pipelines of a run, none for a run of somebody else's assets.

    The steps' own tags come from the definitions that the code location has built, unlike the run's.
    """
    return _parts(instance, run, chosen_only=True)


def all_parts_of(instance: DagsterInstance, run: DagsterRun) -> tuple[Part, ...]:
    """Those, and the pipelines of which the run executes no step: its process builds them too."""
    return _parts(instance, run, chosen_only=False)


def upkeep_of(instance: DagsterInstance, run: DagsterRun) -> Part | None:
    """What a run has in the place of a pipeline that looks after an environment's tables; None for other runs."""
    tags = step_tags(instance, run, chosen_only=False).values()
    found = {one.get(MAINTENANCE_TAG) for one in tags}
    environment = found.pop() if len(found) == 1 else None
    return None if environment is None else upkeep_part(Environment(environment))


def upkeep_part(environment: Environment) -> Part:
    """No pipeline has this name."""
    return Part(MAINTENANCE, "", environment)


def _parts(instance: DagsterInstance, run: DagsterRun, *, chosen_only: bool) -> tuple[Part, ...]:
    tags = step_tags(instance, run, chosen_only=chosen_only).values()
    found = {
        Part(one[PIPELINE_TAG], one[VERSION_TAG], Environment(one[ENVIRONMENT_TAG]))
        for one in tags
        if PIPELINE_TAG in one and VERSION_TAG in one and ENVIRONMENT_TAG in one
    }
    return tuple(sorted(found, key=lambda part: part.pipeline))


def run_key(instance: DagsterInstance, run: DagsterRun) -> str:
    """The run that this one resumes, through all resumptions; a run from the start is its own (D7).

    Dagster gives every re-execution the same root run, also "re-execute all": that one must not find the old
    commit.
    """
    from drls_dagster.dagster_private.tags import ASSET_RESUME_RETRY_TAG, RESUME_RETRY_TAG

    while run.parent_run_id and "true" in (run.tags.get(RESUME_RETRY_TAG), run.tags.get(ASSET_RESUME_RETRY_TAG)):
        parent = instance.get_run_by_id(run.parent_run_id)
        if parent is None:
            return run.parent_run_id
        run = parent
    return run.run_id


def parameters_given(run: DagsterRun, pipeline: str) -> dict[str, Any]:
    """The parameters that a launch named."""
    config = run.run_config if isinstance(run.run_config, dict) else {}
    for name, values in _resources(config):
        if name == f"{pipeline}_parameters" and isinstance(values, dict):
            given = values.get("config")
            return dict(given) if isinstance(given, dict) else {}
    return {}


def _resources(config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    resources = config.get("resources")
    yield from resources.items() if isinstance(resources, dict) else ()
