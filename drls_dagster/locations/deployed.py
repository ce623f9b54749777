"""A code location of what is deployed in an environment, and in development of what nobody has saved yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg

from drls_dagster.errors import UsageError
from drls_dagster.gate.admission import lifecycle_of
from drls_dagster.gate.pins import pin, pinned, pipelines_of_this_run
from drls_dagster.locations.building import build_location
from drls_dagster.pipeline_files import Loaded, load_file, load_folder
from drls_dagster.sensors import sensors_of
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.releases import Release
from lifecycle.spec import PipelineSpec, digest
from lifecycle.store.unit import View
from lifecycle.usecases.automation import policies_of, runs_by_itself
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.specs import has_digest


def load_environment(environment: str, settings: Settings) -> dg.Definitions:
    """The definitions of a code location. A process that executes one run builds that run's pipelines alone.

    Raises GateRefused where the lifecycle cannot be asked.
    """
    pins, only = pinned(environment), pipelines_of_this_run()
    loaded = load_deployed(environment, settings, pins=pins, only=only)
    pin(environment, pins or {one.name: digest(one.spec) for one in loaded if one.spec is not None})
    starting = _starting(settings, environment, loaded)
    definitions = build_location(loaded, environment, settings, starting=starting)
    if only is not None:
        return definitions
    specs = [one.spec for one in loaded if one.spec is not None and one.release is not None]
    drafts = [one.name for one in loaded if one.spec is not None and one.release is None]
    sensors = sensors_of(environment, settings, specs, drafts=drafts, starting=starting)
    return dg.Definitions.merge(definitions, dg.Definitions(sensors=sensors))


def load_files(path: Path, environment: str, settings: Settings) -> dg.Definitions:
    """The definitions of a pipeline file, or of a folder of them, in somebody's own code location.

    A file runs above development while its content is what is deployed there. Raises UsageError for a path that is not
    there, GateRefused where the lifecycle cannot be asked.
    """
    if not path.exists():
        raise UsageError(f"there is no pipeline file or folder {path}")
    only, where = pipelines_of_this_run(), Environment(environment)
    files = load_folder(path) if path.is_dir() else [load_file(path)]
    wanted = [one for one in files if only is None or one.name in only]
    ctx = lifecycle_of(settings)
    releases = _releases(ctx, where, None, [one.name for one in wanted]) if ctx else []
    known = {(one.pipeline, one.digest): one for one in releases}
    loaded = [replace(one, release=known.get((one.name, digest(one.spec)))) if one.spec else one for one in wanted]
    return build_location(loaded, environment, settings, starting=_starting(settings, environment, loaded))


def _starting(settings: Settings, environment: str, loaded: Sequence[Loaded]) -> set[str]:
    """Whose schedules run by themselves, as the policies say (L4)."""
    names = {one.name for one in loaded if one.spec is not None and one.spec.schedule is not None}
    ctx = lifecycle_of(settings) if names else None
    if ctx is None:
        return set()
    where = Environment(environment)
    with ctx.store.read() as view:
        policy_of = policies_of(view, where)
        ids = {name: pipeline.id for name in names if (pipeline := view.pipelines.find(name)) is not None}
        return {name for name, pipeline_id in ids.items() if runs_by_itself(policy_of(pipeline_id), where)}


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
    deployed = [_read(settings, one) for one in _releases(ctx, where, pins, only)] if ctx else []
    return _with_drafts(deployed, settings, only, pins or {}) if where is Environment.DEVELOPMENT else deployed


def _releases(
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
    """A version that was deployed when the run was created and is not any more; None for a draft."""
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
    # Modules that a version names are looked for beside the pipeline files; its lock says which code they must be.
    path = settings.pipeline_folder / release.pipeline
    if not has_digest(release.spec, release.digest):
        problem = f"v{release.number} was changed in the database: its digest is wrong; restore a backup"
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
