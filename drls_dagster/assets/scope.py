"""From a Dagster step's context to the pipeline run that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg

from drls_dagster.assets.failures import as_failure
from drls_dagster.assets.partitions import window_of
from drls_dagster.gate.parts import run_key
from drls_dagster.ledger import About
from drls_dagster.resources.lifecycle import Lifecycle
from drls_dagster.resources.spark_on_ray import SparkOnRay
from drls_dagster.runs.catalog import RunCatalog
from drls_dagster.runs.refusal import GateRefused, mark_refused
from drls_dagster.steps.frames import Frames
from drls_dagster.steps.kinds import BUILDERS
from drls_dagster.steps.publishing import tools
from drls_dagster.steps.run import PipelineRun
from drls_dagster.steps.spark import prepare
from drls_dagster.steps.staging import clear_old_runs
from lifecycle.domain.environment import Environment
from lifecycle.spec import PipelineSpec

# Dagster has one name for a resource in a whole code location, and a project has resources of its own.
RESOURCES = SPARK, ICEBERG, LIFECYCLE = ("drls_spark", "drls_iceberg", "drls_lifecycle")


@dataclass(frozen=True)
class Scope:
    """A pipeline's run in this process, and its frames."""

    run: PipelineRun
    frames: Frames

    def close(self) -> None:
        """End what the run has started."""
        self.run.code.end()


def scope_of(
    context: dg.AssetExecutionContext, spec: PipelineSpec, environment: Environment, search_path: tuple[str, ...]
) -> Scope:
    """The scope that all steps of the run in this process share."""
    spark: SparkOnRay = getattr(context.resources, SPARK)
    lifecycle: Lifecycle = getattr(context.resources, LIFECYCLE)
    window = window_of(context.run, spec)
    if spec.partitions is not None and window is None:
        raise dg.Failure(
            f"pipeline '{spec.name}' is partitioned, but the run names no partition; choose one, or a range",
            allow_retries=False,
        )

    def make() -> Scope:
        settings = spark.settings
        clear_old_runs(settings)
        parameters = parameters_of(context, spec)
        key = run_key(context.instance, context.run)
        try:
            runs, memory, gate, spans = lifecycle.enter(
                spec,
                environment,
                context.run.run_id,
                run_key=key,
                parameters=parameters,
                log=context.log.info,
            )
        except GateRefused:
            mark_refused(context.instance, context.run.run_id)
            raise
        wanted, there = spec.run.executors * spec.run.cores, settings.engine.executors * settings.engine.cores
        if wanted > there:
            context.log.warning(
                f"the pipeline requests {wanted} cores, but the engine has {there} (settings, [engine])"
            )
        run = PipelineRun(
            spec=spec,
            environment=environment,
            settings=settings,
            catalog=RunCatalog(settings.catalog.name, runs),
            runs=runs,
            memory=memory,
            open_session=spark.session,
            run_id=context.run.run_id,
            run_key=key,
            parameters=parameters,
            window=window,
            search_path=search_path,
            log=context.log.info,
            gate=gate,
            spans=spans,
        )
        prepare(run)
        memory.note("", About.TOOLS, tools())
        return Scope(run, Frames(run, BUILDERS))

    with as_failure(spec.name, spark.settings):
        scope = spark.scoped((spec.name, window), make)
        if scope.run.gate is not None:
            scope.run.gate.ask_again()
    scope.run.log = context.log.info  # each step says its own
    return scope


def parameters_key(spec: PipelineSpec) -> str:
    """The resource that holds a pipeline's parameters in a run's configuration."""
    return f"{spec.name}_parameters"


_TYPES = {"string": str, "integer": int, "number": float, "boolean": bool, "date": str, "timestamp": str}


def parameters_resource(spec: PipelineSpec) -> dg.ResourceDefinition:
    """The parameters as typed run configuration, so that the launchpad shows and checks them."""
    fields: dict[str, dg.Field] = {}
    for name, parameter in spec.parameters.items():
        default = {} if parameter.default is None else {"default_value": _plain(parameter.default)}
        fields[name] = dg.Field(
            _TYPES[parameter.type],
            description=parameter.description or None,
            is_required=parameter.default is None,
            **default,
        )

    @dg.resource(config_schema=fields, description=f"Parameters of pipeline {spec.name}")
    def parameters(context: dg.InitResourceContext) -> dict[str, Any]:
        return dict(context.resource_config)

    return parameters


def parameters_of(context: dg.AssetExecutionContext, spec: PipelineSpec) -> dict[str, Any]:
    """Typed values of the parameters. Raises dg.Failure naming one that is wrong."""
    if not spec.parameters:
        return {}
    given: dict[str, Any] = getattr(context.resources, parameters_key(spec))
    values: dict[str, Any] = {}
    for name, parameter in spec.parameters.items():
        try:
            values[name] = parameter.coerce(given[name])
        except ValueError as error:
            raise dg.Failure(f"parameter '{name}': {error}", allow_retries=False) from error
    return values


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else value.isoformat()
