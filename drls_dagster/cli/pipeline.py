"""`drls pipeline`: definitions, in files and saved as versions."""

from __future__ import annotations

import click

from drls_dagster.cli import catalog, pipeline_save, pipeline_show, pipeline_versions


@click.group()
def pipeline() -> None:
    """Check pipeline files, save them as versions, and inspect versions."""


for command in (
    pipeline_show.validate,
    pipeline_show.schema,
    pipeline_show.show,
    catalog.about,
    pipeline_save.save,
    pipeline_versions.list_pipelines,
    pipeline_versions.diff,
    pipeline_versions.export,
    pipeline_versions.import_bundle,
    pipeline_versions.clone,
    pipeline_versions.delete,
):
    pipeline.add_command(command)
