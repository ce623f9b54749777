"""Which pipeline a program means: a name, a file, or a definition made in Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from drls_dagster.errors import UsageError
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from drls_dagster.pipeline_files import Loaded
    from drls_dagster.python_api.building import Pipeline
    from drls_dagster.settings import Settings
    from lifecycle.spec import PipelineSpec

AnyPipeline: TypeAlias = "str | Path | Pipeline | PipelineSpec"


def spec_of(pipeline: Pipeline | PipelineSpec) -> PipelineSpec:
    """The checked definition. Raises SpecError."""
    from drls_dagster.python_api.building import Pipeline
    from lifecycle.spec import PipelineSpec

    if isinstance(pipeline, Pipeline):
        return pipeline.spec()
    if isinstance(pipeline, PipelineSpec):
        return pipeline
    raise UsageError(f"a pipeline is a name, a file, a drls.Pipeline or a PipelineSpec, not {type(pipeline).__name__}")


def find(
    pipeline: AnyPipeline,
    settings: Settings,
    environment: Environment = Environment.DEVELOPMENT,
    folder: str | Path | None = None,
) -> Loaded:
    """The pipeline with its lock. A definition made in Python finds its modules in `folder`, or where the program runs.

    Raises UsageError, SpecError, or NotFound for a name that no pipeline has in the environment.
    """
    from drls_dagster.launch.find import find_pipeline
    from drls_dagster.pipeline_files import Loaded
    from lifecycle.spec import resolve_lock

    if isinstance(pipeline, str | Path):
        return find_pipeline(str(pipeline), settings, environment)
    spec = spec_of(pipeline)
    if environment is not Environment.DEVELOPMENT:
        raise UsageError(
            f"a definition runs in development; save it, promote it to {environment.label}, and run it by its name "
            f"{spec.name!r}"
        )
    where = Path(folder or Path.cwd()).resolve()
    locked = resolve_lock(spec.model_copy(update={"lock": None}), [where])
    return Loaded(where / f"{spec.name}.yaml", locked)
