"""Which versions an environment runs, or a run was created with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lifecycle.domain.environment import Environment
from lifecycle.domain.releases import Release
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context


def releases_of(
    ctx: Context, where: Environment, pins: Mapping[str, str] | None, only: Sequence[str] | None
) -> list[Release]:
    """What is active there; with `pins`, the versions of those digests that are or were active, by pipeline."""
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
