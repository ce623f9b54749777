"""Clone: any version under a new name, or as the newest version of its own pipeline."""

from __future__ import annotations

from lifecycle.domain.people import Actor
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Version
from lifecycle.spec import PipelineSpec
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.specs import spec_of
from lifecycle.usecases.save_version import save_version


def clone_pipeline(
    ctx: Context, actor: Actor, name: str, number: int, *, to: str | None = None, key: str | None = None
) -> Version:
    """Version `number` of `name`, saved as pipeline `to` (default: again as `name`, on that version).

    A clone under another name keeps its sink tables' names and is therefore refused while the original
    is active: change the tables first with `pipeline save`.
    """
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        version = view.pipelines.numbered(pipeline, number)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "cloning a version")
    spec: PipelineSpec = spec_of(version)
    if to is None or to == name:
        # What was kept with the version is cloned with it. Of an older version code is locked as it is now.
        kept = spec.lock is not None and bool(spec.lock.files)
        again = {"kind": "cloned", "pipeline": name, "version": number, "digest": version.digest} if kept else None
        return save_version(ctx, actor, spec, message=f"v{number} again", on=number, origin=again, key=key)
    origin = {"kind": "cloned", "pipeline": name, "version": number, "digest": version.digest}
    renamed = spec.model_copy(update={"name": to})
    return save_version(ctx, actor, renamed, message=f"cloned from {name} v{number}", origin=origin, key=key)
