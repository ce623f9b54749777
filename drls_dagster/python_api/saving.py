"""`drls.save(pipeline)`: a definition becomes a version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drls_dagster.notebooks.inside import refuse_inside
from drls_dagster.python_api.asking import asked

if TYPE_CHECKING:
    from drls_dagster.python_api.building import Pipeline
    from lifecycle.spec import PipelineSpec
    from lifecycle.verbs.answers import VersionInfo


def save(
    pipeline: Pipeline | PipelineSpec | str | Path,
    message: str = "",
    *,
    on: int | None = None,
    if_newest: str | None = None,
    folder: str | Path | None = None,
) -> VersionInfo:
    """Saves a definition, or a pipeline file, as a version and makes it active in development.

    Saving the same content again returns the existing version. `on` is the version that it is based on (default: the
    newest); with `if_newest` it is saved only if that is the newest version's digest. The modules that its Python names
    are kept with it: they are looked for in `folder`, by default next to the file, or where the program runs. Saves as
    the owner of DRLS_TOKEN, or of the token that `drls login` kept.

    Raises SpecError for a definition that is not valid, and what the lifecycle refuses.
    """
    from drls_dagster.python_api.finding import spec_of
    from lifecycle.spec import load_pipeline

    refuse_inside("drls.save")
    if isinstance(pipeline, str | Path):
        spec, where = load_pipeline(Path(pipeline)), Path(pipeline).parent
    else:
        spec, where = spec_of(pipeline), Path.cwd()
    with asked() as client:
        return client.pipelines.save(
            spec, search_path=[Path(folder or where).resolve()], message=message, on=on, if_newest=if_newest
        )
