"""Export: a version with its approvals, receipts and audit slice, signed."""

from __future__ import annotations

import base64

from lifecycle.bundle import Bundle, write_bundle
from lifecycle.bundle.content import Approval
from lifecycle.domain.people import Actor
from lifecycle.domain.roles import Role
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.specs import spec_of
from lifecycle.usecases.parts.version_code import code_of


def export_version(ctx: Context, actor: Actor, name: str, number: int) -> bytes:
    """The bundle as a file; `drls verify` and `bundle.verify_bundle` check it anywhere."""
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "exporting a version")
        version = view.pipelines.numbered(pipeline, number)
        code = code_of(view, spec_of(version))
        promotions = view.promotions.of_versions([version.id])
        approvals = tuple(Approval(promotion=one, decisions=view.promotions.decisions(one.id)) for one in promotions)
        subjects = [f"pipeline:{name}", *(f"promotion:{one.id}" for one in promotions)]
        log = [entry for subject in subjects for entry in view.log.search(subject=subject, limit=10_000)]
        bundle = Bundle(
            pipeline=name,
            version=version,
            deployments=tuple(d for d in view.deployments.history(pipeline.id) if d.version_id == version.id),
            approvals=approvals,
            code={path: base64.b64encode(content).decode() for path, content in code.items()},
            receipts=view.runs.receipts(version_id=version.id),
            people={str(person.id): person.name for person in view.people.all()},
            log=tuple(sorted(log, key=lambda entry: entry.sequence)),
            head=view.log.head(),
        )
    return write_bundle(bundle, ctx.store.signing_key)
