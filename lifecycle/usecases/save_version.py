"""Save a definition: a new version, or the one with the same content; active in development (L1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor, Person, Target
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Contribution, Label, Pipeline, Version
from lifecycle.errors import Conflict, Refused
from lifecycle.spec import PipelineSpec, canonical_json, digest, lock_with_code
from lifecycle.store.unit import Unit
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.activation import activate
from lifecycle.usecases.parts.following import reload
from lifecycle.usecases.parts.version_code import checked_code, sent_files


def save_version(
    ctx: Context,
    actor: Actor,
    spec: PipelineSpec,
    *,
    message: str = "",
    on: int | None = None,
    if_newest: str | None = None,
    origin: dict[str, Any] | None = None,
    code: Mapping[str, bytes] | None = None,
    key: str | None = None,
) -> Version:
    """Stores `spec`, locked (L2), as a version of the pipeline it names, with the files of its local code.

    `code` are files by path from another machine: local code is what is among them. With `origin` the lock is kept as
    it is, and `code` brings what the store does not have.
    `on` is the version it was made from (default: the newest). `if_newest` (a digest) raises Conflict
    when somebody saved in between. Saving equal content again adds the saver to its contributors.
    """
    locked, files = locked_with_code(ctx, spec, code) if origin is None else (spec, code or {})
    command = {"digest": digest(locked), "on": on, "if_newest": if_newest, "message": message}
    with ctx.store.write(actor, "save_version", key=key, command=command) as unit:
        earlier = unit.earlier(Version)
        if earlier is not None:
            return earlier
        pipeline = unit.pipelines.find(locked.name)
        if pipeline is not None and pipeline.deleted_at is not None:
            raise Refused(f"the pipeline {locked.name} was deleted and its name stays reserved; use another name")
        target = target_of(unit, pipeline) if pipeline else Target(pipeline=locked.name)
        person = require(unit, actor, Role.DATA_ENGINEER, target, "saving a pipeline")
        unit.code.add(checked_code(unit, locked, files))
        if pipeline is None:
            pipeline = unit.pipelines.add(locked.name, person.id)
        version = _store(
            unit,
            pipeline,
            person,
            locked,
            message=message,
            on=on,
            if_newest=if_newest,
            origin=origin or {"kind": "saved"},
        )
        activate(unit, pipeline, version, Environment.DEVELOPMENT, reason="saved", label=Label.FREE)
        unit.remember(version)
    reload(ctx, Environment.DEVELOPMENT)
    return version


def locked_with_code(
    ctx: Context, spec: PipelineSpec, code: Mapping[str, bytes] | None
) -> tuple[PipelineSpec, Mapping[str, bytes]]:
    """The spec with its lock (L2), and the files that it names. Raises SpecError, or Invalid for a bad path."""
    if code is None:
        locked, local = lock_with_code(spec, ctx.search_path)
        return locked, local.files
    with sent_files(code) as folder:
        locked, local = lock_with_code(spec, [folder], here_only=True)
    return locked, local.files


def _store(
    unit: Unit,
    pipeline: Pipeline,
    person: Person,
    spec: PipelineSpec,
    *,
    message: str,
    on: int | None,
    if_newest: str | None,
    origin: dict[str, Any],
) -> Version:
    newest = unit.pipelines.newest(pipeline.id)
    if if_newest is not None and (newest is None or newest.digest != if_newest):
        found = f"v{newest.number}" if newest else "no version"
        raise Conflict(f"the newest version of {pipeline.name} is now {found}; review it, then save again")
    tables = tuple(sink.table for sink in spec.sinks)
    for table, owner in unit.pipelines.owners(tables, but=pipeline.id).items():
        raise Refused(f"{table} is already written by pipeline {owner}; only one pipeline may write a table")
    parent = unit.pipelines.numbered(pipeline, on) if on is not None else newest
    saved_digest = digest(spec)
    version = unit.pipelines.with_digest(pipeline.id, saved_digest)
    is_new = version is None
    if version is None:
        version = unit.pipelines.add_version(
            pipeline,
            tables,
            digest=saved_digest,
            parent_id=parent and parent.id,
            spec=canonical_json(spec).decode(),
            message=message,
            origin=origin,
            author=person.id,
            acted_for=person.acts_for,
        )
    unit.pipelines.add_contribution(
        Contribution(
            version_id=version.id,
            parent_id=parent.id if parent and parent.id != version.id else None,
            person=person.id,
            acted_for=person.acts_for,
        )
    )
    unit.audit(
        "version.saved",
        f"pipeline:{pipeline.name}",
        version=version.number,
        digest=version.digest,
        on=parent and parent.number,
        new=is_new,
        origin=origin,
    )
    return version
