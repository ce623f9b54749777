"""A pipeline spec to Dagster definitions."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import dagster as dg

from drls_dagster.assets.metadata import release_metadata
from drls_dagster.assets.nodes import Compiling, checks_of, sink_asset, source_checks, source_spec, transform_asset
from drls_dagster.assets.schedules import schedules_of
from drls_dagster.assets.scope import ICEBERG, LIFECYCLE, SPARK, parameters_key, parameters_resource
from drls_dagster.errors import UsageError
from drls_dagster.resources.fixed import fixed
from drls_dagster.resources.iceberg import Iceberg
from drls_dagster.resources.lifecycle import Lifecycle
from drls_dagster.resources.spark_on_ray import SparkOnRay
from drls_dagster.settings import Settings
from drls_dagster.steps import kinds as steps
from drls_dagster.steps.sources import kinds as sources
from drls_dagster.tags import DRAFT, ENVIRONMENT_TAG, PIPELINE_TAG, RELEASE_TAG, VERSION_TAG
from lifecycle.domain.environment import Environment
from lifecycle.domain.releases import Release
from lifecycle.spec import PipelineSpec, digest


class CannotBuild(UsageError):
    """A valid pipeline asks for what this release does not run."""


def refuse_unsupported(spec: PipelineSpec) -> None:
    """Raises CannotBuild naming the node that this release does not run."""
    for node, problem in (*sources.unsupported(spec), *steps.unsupported(spec)):
        raise CannotBuild(f"pipeline '{spec.name}', node '{node}': {problem}")


def compile_pipeline(
    spec: PipelineSpec,
    environment: Environment,
    settings: Settings,
    *,
    search_path: tuple[Path, ...] = (),
    release: Release | None = None,
    starts: bool = False,
) -> dg.Definitions:
    """The definitions of one pipeline in one environment, checked to be loadable.

    `starts`: its schedule runs without anybody starting it.
    Raises CannotBuild where this release does not run a node, and Dagster's errors where they do not fit.
    """
    refuse_unsupported(spec)
    to = Compiling(
        spec,
        environment,
        settings.catalog.name,
        tuple(str(path) for path in search_path),
        release_metadata(settings, release),
    )
    executable = [
        *(transform_asset(to, node) for node in spec.transforms),
        *(sink_asset(to, node) for node in spec.sinks),
    ]
    sources = [source_spec(to, node) for node in spec.sources]
    checks = [source_checks(to, node) for node in spec.sources if checks_of(spec, node.id)]
    own = [asset.key for asset in executable]
    selection = dg.AssetSelection.assets(*own)
    for check in checks:
        selection = selection | dg.AssetSelection.checks(check)
    job = dg.define_asset_job(
        spec.name,
        selection=selection,
        description=spec.description or None,
        executor_def=dg.in_process_executor,
        tags={
            PIPELINE_TAG: spec.name,
            ENVIRONMENT_TAG: str(environment),
            VERSION_TAG: digest(spec),
            RELEASE_TAG: f"v{release.number}" if release else DRAFT,
        },
        metadata={**({"owners": ", ".join(spec.owners)} if spec.owners else {}), **to.told},
    )
    definitions = dg.Definitions(
        assets=[*sources, *executable],
        asset_checks=checks,
        jobs=[job],
        schedules=schedules_of(spec, environment, settings, starts=starts),
        resources={
            **_resources(str(settings.home)),
            **({parameters_key(spec): parameters_resource(spec)} if spec.parameters else {}),
        },
    )
    dg.Definitions.validate_loadable(definitions)
    # Resolved among its own few assets: Dagster looks through all assets of a location for each job that is not.
    return dg.Definitions(
        assets=definitions.assets,
        asset_checks=definitions.asset_checks,
        jobs=[definitions.resolve_job_def(spec.name)],
        schedules=definitions.schedules,
        resources=definitions.resources,
    )


@lru_cache
def _resources(home: str) -> Mapping[str, object]:
    """One object of each for a home: Dagster merges definitions only where they name the same one."""
    made = {SPARK: SparkOnRay(home=home), ICEBERG: Iceberg(home=home), LIFECYCLE: Lifecycle(home=home)}
    return {name: fixed(resource) for name, resource in made.items()}
