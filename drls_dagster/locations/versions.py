"""The pipelines of an environment, without Dagster: what is deployed, and in development what nobody has saved yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drls_dagster.pipeline_files import Loaded, load_folder
from drls_dagster.runs.admission import lifecycle_of
from drls_dagster.runs.releases import releases_of
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.releases import Release
from lifecycle.spec import PipelineSpec, digest
from lifecycle.usecases.parts.specs import has_digest


def load_deployed(
    environment: str,
    settings: Settings,
    *,
    pins: Mapping[str, str] | None = None,
    only: Sequence[str] | None = None,
    releases: Sequence[Release] | None = None,
) -> list[Loaded]:
    """The versions that are deployed, or those of `pins`; in development also the folder's unsaved files.

    `releases` are those versions, for a process that may not ask the lifecycle.

    A version that is not what was saved, or cannot be read, says so and harms no other.
    """
    where = Environment(environment)
    if releases is None:
        ctx = lifecycle_of(settings)
        releases = releases_of(ctx, where, pins, only) if ctx else []
    deployed = [_read(settings, one) for one in releases]
    return _with_drafts(deployed, settings, only, pins or {}) if where is Environment.DEVELOPMENT else deployed


def _read(settings: Settings, release: Release) -> Loaded:
    # Modules that a version names are looked for next to the pipeline files; its lock says which code they must be.
    path = settings.pipeline_folder / release.pipeline
    if not has_digest(release.spec, release.digest):
        problem = f"v{release.number} was changed in the database: its digest does not match; restore a backup"
        return Loaded(path, problem=problem, release=release)
    try:
        spec = PipelineSpec.model_validate_json(release.spec, by_alias=True, by_name=False)
    except ValueError as error:
        problem = f"v{release.number} cannot be read by this release of DRLS: {str(error).splitlines()[0]}"
        return Loaded(path, problem=problem, release=release)
    return Loaded(path, spec, release=release)


def _with_drafts(
    deployed: list[Loaded], settings: Settings, only: Sequence[str] | None, pins: Mapping[str, str]
) -> list[Loaded]:
    """A file that differs from the saved version is what its author works on: it takes its place.

    Not that of a version that is pinned: its run was created before the file was changed.
    """
    saved = {one.name: one for one in deployed}
    pinned_here = {name for name, one in saved.items() if one.release and pins.get(name) == one.release.digest}
    drafts = [
        one
        for one in load_folder(settings.pipeline_folder)
        if one.name not in pinned_here and (only is None or one.name in only)
    ]
    fresh = [one for one in drafts if one.spec is None or not _is_saved(saved.get(one.name), one.spec)]
    replaced = {one.name for one in fresh if one.spec is not None}
    return [*(one for one in deployed if one.name not in replaced), *fresh]


def _is_saved(saved: Loaded | None, spec: PipelineSpec) -> bool:
    return saved is not None and saved.release is not None and saved.release.digest == digest(spec)
