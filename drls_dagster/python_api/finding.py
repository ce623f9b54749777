"""The definition that a program means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.errors import UsageError

if TYPE_CHECKING:
    from drls_dagster.python_api.building import Pipeline
    from lifecycle.spec import PipelineSpec


def spec_of(pipeline: Pipeline | PipelineSpec) -> PipelineSpec:
    """The checked definition. Raises SpecError."""
    from drls_dagster.python_api.building import Pipeline
    from lifecycle.spec import PipelineSpec

    if isinstance(pipeline, Pipeline):
        return pipeline.spec()
    if isinstance(pipeline, PipelineSpec):
        return pipeline
    raise UsageError(f"a pipeline is a name, a file, a drls.Pipeline or a PipelineSpec, not {type(pipeline).__name__}")
