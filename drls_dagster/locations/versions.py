"""The pipelines of an environment, without Dagster: what is deployed, and in development what nobody has saved yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drls_dagster.gate.admission import lifecycle_of
from drls_dagster.pipeline_files import Loaded, load_folder
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.releases import Release
from lifecycle.spec import PipelineSpec, digest
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.specs import has_digest


def load_deployed(
    environment: str,
    settings: Settings,
    *,
    pins: Mapping[str, str] | None = None,
    only: Sequence[str] | None = None,
) -> list[Loaded]:
    """The versions that are deployed, or those of `pins`; in development also the folder's unsaved files.

    A version that is not what was saved, or cannot be read, says so and harms no other.
    """
    where = Environment(environment)
    ctx = lifecycle_of(settings)
    deployed = [_read(settings, one) for one in releases_of(ctx, where, pins, only)] if ctx else []
    return _with_drafts(deployed, settings, only, pins or {}) if where is Environment.DEVELOPMENT else deployed


def releases_of(
    ctx: Context, where: Environment, pins: Mapping[str, str] | None, only: Sequence[str] | None
) -> list[Release]:
    with ctx.store.read() as view:
        found = list(view.deployments.releases(where, pipelines=only))
        if pins is None:
            return found
        active = {one.pipeline: one for one in found}
        wanted = {name: value for name, value in pins.items() if only is None or name in only}
        return [
            one
            for name, value in wanted.items()
            for one in (active.get(name) if _is(active, name, value) else _earlier(view, where, name, value),)
            if one is not None
        ]


def _is(active: Mapping[str, Release], name: str, value: str) -> bool:
    return name in active and active[name].digest == value


def _earlier(view: View, where: Environment, name: str, value: str) -> Release | None:
    """A version that was deployed when the run was created and no longer is; None for a draft."""
    pipeline = view.pipelines.find(name)
    version = view.pipelines.with_digest(pipeline.id, value) if pipeline else None
    if pipeline is None or version is None:
        return None
    history = view.deployments.history(pipeline.id, where)
    past = next((one for one in reversed(history) if one.version_id == version.id), None)
    if past is None:
        return None
    return Release(
        pipeline=name,
        number=version.number,
        digest=version.digest,
        spec=version.spec,
        environment=where,
        label=past.label,
        since=past.started_at,
        promotion_id=past.promotion_id,
        author=None,
    )


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
