"""`drls.run(pipeline)`: a run as `drls run` makes one, with its outcome as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.notebooks.inside import refuse_inside
from drls_dagster.python_api.asking import environment_of

if TYPE_CHECKING:
    from drls_dagster.launch.progress import RunOutcome
    from drls_dagster.python_api.finding import AnyPipeline
    from lifecycle.domain.environment import Environment


@dataclass(frozen=True)
class RunResult:
    """How a run ended. `failed_step` and `message` say where and why it failed.

    `steps` are the states of its steps by node: done, failed or skipped. `tables` has what each sink published: name,
    rows, snapshot_id and more. `checks` has each check with `passed`, `severity` and `message`.
    """

    pipeline: str
    environment: Environment
    run_id: str
    state: Literal["succeeded", "failed"]
    seconds: float
    partition: str | None
    failed_step: str | None
    message: str
    steps: Mapping[str, str]
    tables: tuple[Mapping[str, Any], ...]
    checks: tuple[Mapping[str, Any], ...]

    def raise_if_failed(self) -> RunResult:
        """The result itself. Raises DrlsError where the run failed, with the failing step's message."""
        if self.state == "failed":
            where = "" if self.failed_step is None else f", step '{self.failed_step}'"
            raise DrlsError(f"run {self.run_id} of {self.pipeline} failed{where}: {self.message}")
        return self


def run(
    pipeline: AnyPipeline,
    env: str = "development",
    partition: str | None = None,
    *,
    parameters: Mapping[str, object] | None = None,
    select: str | None = None,
) -> RunResult:
    """Runs a pipeline here and waits for its end, as `drls run` does: through the gate, on the warm engine.

    `pipeline` is the name of a version deployed in `env`; in development also a file, a `drls.Pipeline` or a spec. Of a
    partitioned pipeline, `partition` names a key, or a range of time `FIRST...LAST`. `select` names steps as in
    `drls run --select`.

    A run that fails is a result, see `RunResult.raise_if_failed`. Raises UsageError for what cannot be run, NotFound
    for a name that no pipeline has there, EngineError where the engine does not start, and KeyboardInterrupt when
    interrupted.
    """
    from drls_dagster.engine.client import ensure_engine
    from drls_dagster.launch.choices import read_partitions, run_config, select_nodes, typed_parameters
    from drls_dagster.launch.run import launch
    from drls_dagster.python_api.finding import find
    from drls_dagster.settings import load_settings

    refuse_inside("drls.run")
    settings, environment = load_settings(), environment_of(env)
    loaded = find(pipeline, settings, environment)
    spec = loaded.spec
    assert spec is not None, "what is found can be read"  # noqa: S101
    nodes = select_nodes(spec, select)
    values = run_config(typed_parameters(spec, parameters or {}))
    window, *others = read_partitions(spec, partition, each=False, option="partition=")
    if others:
        raise UsageError(f"partition={partition!r} of '{spec.name}' takes {len(others) + 1} runs; name one key a run")
    from drls_dagster.assets.compile import refuse_unsupported  # loads Dagster: what is wrong has been said by now

    refuse_unsupported(spec)
    if not settings.engine.spark_connect:
        ensure_engine(settings)
    outcome = launch(loaded, settings, environment, nodes=nodes, parameters=values, partitions=window)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return _result(spec.name, environment, outcome)


def _result(pipeline: str, environment: Environment, outcome: RunOutcome) -> RunResult:
    failed = next((step for step in outcome.steps if step.state == "failed"), None)
    message = "" if outcome.success else outcome.failure or "look at its log in Dagster"
    return RunResult(
        pipeline=pipeline,
        environment=environment,
        run_id=outcome.run_id,
        state="succeeded" if outcome.success else "failed",
        seconds=outcome.seconds,
        partition=outcome.partition,
        failed_step=None if failed is None else failed.node,
        message=message,
        steps={step.node: step.state for step in outcome.steps},
        tables=tuple(outcome.tables),
        checks=tuple(outcome.checks),
    )
