"""`drls_dagster.PipelineComponent`: pipelines in your own Dagster project."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import dagster as dg
from dagster.components.component_scaffolding import scaffold_component
from pydantic import Field, model_validator

from lifecycle.domain.environment import Environment

_EXAMPLE = """\
# `drls pipeline schema` prints the JSON Schema of this file for your editor.
format_version: 1
name: {name}
nodes:
  - {{id: ticks, type: source, source: {{kind: rate, rows_per_second: 10}}}}
  - {{id: even, type: transform, step: spark, sql: SELECT * FROM ticks WHERE value % 2 = 0}}
  - {{id: kept, type: sink, table: {name}.even, mode: overwrite}}
edges: [{{from: ticks, to: even}}, {{from: even, to: kept}}]
"""


class PipelineScaffolder(dg.Scaffolder):
    """`dg scaffold defs drls_dagster.PipelineComponent NAME`: a component on a first pipeline file."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        name = "".join(letter if letter.isalnum() else "_" for letter in request.target_path.name.lower())
        scaffold_component(request, {"path": "pipeline.yaml", "environment": "development"})
        (request.target_path / "pipeline.yaml").write_text(_EXAMPLE.format(name=name))


@dg.scaffold_with(PipelineScaffolder)
class PipelineComponent(dg.Component, dg.Model, dg.Resolvable):
    """DRLS pipelines as assets, checks, jobs and schedules in your own Dagster project.

    Loads pipeline files, or the versions deployed in an environment. The gate is asked either way: above development,
    only deployed versions run.
    """

    path: str | None = Field(
        default=None, description="A pipeline file, or a folder of them, relative to the folder of this defs.yaml"
    )
    deployed: bool = Field(default=False, description="Load the versions deployed in the environment, instead of files")
    environment: Literal["development", "qa", "uat", "production"] = Field(
        default="development", description="Environment whose tables the runs write, and whose rules apply"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> PipelineComponent:
        if (self.path is None) != self.deployed:
            raise ValueError("set either path (a pipeline file, or a folder of them) or deployed: true")
        return self

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        return dg.ComponentTypeSpec(
            description="DRLS pipelines: Spark and Ray steps on Iceberg tables.", tags=["iceberg", "spark", "ray"]
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the definitions.

        Raises UsageError if the path does not exist, and GateRefused if the lifecycle cannot answer.
        """
        from drls_dagster.locations.deployed import load_environment, load_files
        from drls_dagster.settings import load_settings

        settings, environment = load_settings(), Environment(self.environment)
        if self.path is None:
            return load_environment(environment, settings, maintenance=False)
        return load_files((context.path / Path(self.path).expanduser()).resolve(), environment, settings)
