"""Run a pipeline in this process, through Dagster, and tell what happens as it happens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drls_dagster.launch.choices import Partitions
from drls_dagster.launch.progress import Follower, RunOutcome, StepProgress
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from drls_dagster.pipeline_files import Loaded


def launch(
    loaded: Loaded,
    settings: Settings,
    environment: Environment,
    *,
    nodes: Sequence[str],
    parameters: Mapping[str, Any],
    partitions: Partitions | None,
    changed: Callable[[RunOutcome], None] = lambda _: None,
) -> RunOutcome:
    """Run the nodes of a pipeline; `changed` is called whenever a step starts or ends.

    Raises UsageError where this release cannot build the pipeline, and KeyboardInterrupt where it is interrupted
    between two steps. A step that fails, or is interrupted, is in the outcome.
    """
    import time
    import uuid

    import dagster as dg

    from drls_dagster.asset_keys import node_key
    from drls_dagster.assets.compile import compile_pipeline
    from drls_dagster.assets.scope import parameters_key
    from drls_dagster.dagster_private.instance import InstanceRef
    from drls_dagster.dagster_private.tags import (
        ASSET_PARTITION_RANGE_END_TAG,
        ASSET_PARTITION_RANGE_START_TAG,
        USER_TAG,
    )
    from drls_dagster.launch.event_log import batching
    from drls_dagster.launch.run_output import showing_output
    from drls_dagster.lifecycle_client.opening import os_user
    from drls_dagster.orchestrator.instance import dagster_home, make_storage
    from drls_dagster.traces.spans import span

    spec = loaded.spec
    assert spec is not None, "find_pipeline gives only pipelines that load"  # noqa: S101
    with _quiet():
        search_path = (loaded.path.parent.resolve(),)
        definitions = compile_pipeline(spec, environment, settings, search_path=search_path, release=loaded.release)
    keys = {name: node_key(spec, name, environment, settings.catalog.name) for name in nodes}
    outcome = RunOutcome(str(uuid.uuid4()), partition=str(partitions) if partitions else None)
    outcome.steps = [StepProgress(name, spec.node(name).type) for name in nodes]
    # Nobody is signed in here: Dagster's list of runs shows whose account of this machine it was.
    tags: dict[str, str] = {USER_TAG: os_user()}
    partition_key = None
    if partitions is not None and partitions.first == partitions.last:
        partition_key = partitions.first
    elif partitions is not None:
        tags |= {
            ASSET_PARTITION_RANGE_START_TAG: partitions.first,
            ASSET_PARTITION_RANGE_END_TAG: partitions.last,
        }
    config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if spec.parameters:
        config["resources"] = {parameters_key(spec): {"config": dict(parameters)}}
    started = time.monotonic()
    make_storage(settings)
    ref = showing_output(batching(InstanceRef.from_dir(str(dagster_home(settings)))))
    with dg.DagsterInstance.from_ref(ref) as instance:
        follower = Follower(outcome, {key.to_python_identifier(): name for name, key in keys.items()}, changed)
        instance.add_event_listener(outcome.run_id, follower)
        try:
            with _quiet(), span(settings, "launch run", {"run_id": outcome.run_id, "pipeline": spec.name}):
                result = definitions.resolve_job_def(spec.name).execute_in_process(
                    instance=instance,
                    run_id=outcome.run_id,
                    run_config=config,
                    asset_selection=[*keys.values()],
                    partition_key=partition_key,
                    tags=tags,
                    raise_on_error=False,
                )
        except dg.DagsterExecutionInterruptedError:
            raise KeyboardInterrupt from None
    for step in outcome.steps:
        if step.state == "waiting":
            step.state = "skipped"
    _note_outcome(settings)
    outcome.success = result.success
    outcome.seconds = time.monotonic() - started
    return outcome


def _note_outcome(settings: Settings) -> None:
    """Where no `drls up` reconciles, nobody else would; that it cannot be noted changes nothing about the run."""
    from drls_dagster.lifecycle_client.gateway import gateway_actor
    from drls_dagster.runs.admission import lifecycle_of
    from lifecycle.errors import DrlsError
    from lifecycle.usecases.note_outcomes import note_outcomes

    with contextlib.suppress(DrlsError):
        ctx = lifecycle_of(settings)
        if ctx is not None:
            note_outcomes(ctx, gateway_actor("run"))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Dagster's notices (a beta feature, a default) are not what a person running a pipeline asked for."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
