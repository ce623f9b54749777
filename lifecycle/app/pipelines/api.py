"""Pipeline definitions and their versions."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.rest.guard import Who
from lifecycle.app.kit.rest.models import (
    BreakGlass,
    Clone,
    Cursor,
    Definition,
    IdempotencyKey,
    IfMatch,
    Limit,
    Name,
    Number,
    Page,
    PipelineHead,
    Promote,
    PublicKey,
    QueryText,
    Retire,
    To,
    VersionDetail,
    VersionHead,
    WithReason,
    version_head,
)
from lifecycle.bundle.envelope import MAX_BYTES
from lifecycle.domain.draft import Draft
from lifecycle.domain.environment import Environment, stage_of
from lifecycle.domain.promotion import Answered
from lifecycle.domain.spec_diff import SpecDiff, diff_specs
from lifecycle.domain.version import Deployment, Pipeline, Version
from lifecycle.errors import Conflict, Invalid
from lifecycle.spec import PipelineSpec, parse_pipeline
from lifecycle.store.unit import View
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.clone_pipeline import clone_pipeline
from lifecycle.usecases.delete_pipeline import delete_pipeline
from lifecycle.usecases.demote_version import demote_version
from lifecycle.usecases.execute_promotion import carry_on
from lifecycle.usecases.export_version import export_version
from lifecycle.usecases.import_version import import_version
from lifecycle.usecases.parts.specs import spec_of
from lifecycle.usecases.parts.version_code import code_texts
from lifecycle.usecases.parts.visible import sees, sees_everything, visible_pipeline
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.request_promotion import request_promotion
from lifecycle.usecases.retire_version import retire_version
from lifecycle.usecases.save_version import save_version

router = APIRouter(prefix="/api/pipeline-defs", tags=["pipelines"])


@router.get("")
def list_pipelines(ctx: Ctx, who: Who, after: QueryText = "", limit: Limit = 100) -> Page[PipelineHead]:
    """Pipelines by name that the caller may see."""
    with ctx.store.read() as view:
        every = view.pipelines.summaries(after, limit)
        everything = sees_everything(view, who)
        heads = [
            PipelineHead(name=one.name, newest=one.newest, active=one.active)
            for one in every
            if everything or sees(view, who, one.id)
        ]
    return Page(items=heads, next=every[-1].name if len(every) == limit else None)


@router.post("", status_code=201)
def create_pipeline(
    ctx: Ctx, who: Who, body: Definition, response: Response, idempotency_key: IdempotencyKey = None
) -> VersionDetail:
    """Saves a definition under the name in it."""
    spec = _parse(body)
    version = save_version(ctx, who, spec, message=body.message, on=body.on, code=body.files(), key=idempotency_key)
    return _answer(ctx, version, response)


@router.post("/import", status_code=201)
async def import_bundle(
    ctx: Ctx,
    who: Who,
    request: Request,
    response: Response,
    trust: Annotated[list[PublicKey] | None, Query(max_length=20)] = None,
    idempotency_key: IdempotencyKey = None,
) -> VersionDetail:
    """Saves the definition in a bundle (the request's body) that this installation or a key in `trust` signed.

    Whom to trust is the importer's word: it decides nothing here, the importer answers for it like an author.
    """
    from starlette.concurrency import run_in_threadpool

    data = bytearray()
    async for part in request.stream():
        data.extend(part)
        if len(data) > MAX_BYTES:
            raise Invalid(f"the bundle is larger than {MAX_BYTES} bytes")
    version = await run_in_threadpool(import_version, ctx, who, bytes(data), trusted=trust or (), key=idempotency_key)
    return await run_in_threadpool(_answer, ctx, version, response)


@router.get("/{name}")
def get_pipeline(ctx: Ctx, who: Who, name: Name, response: Response) -> VersionDetail:
    """The newest version; the ETag is its digest."""
    with ctx.store.read() as view:
        pipeline = visible_pipeline(view, who, name)
        version = view.pipelines.newest(pipeline.id)
        assert version is not None  # noqa: S101 (a pipeline begins with a version)
        return _detail(view, pipeline, version, response)


@router.put("/{name}")
def put_pipeline(
    ctx: Ctx,
    who: Who,
    name: Name,
    body: Definition,
    response: Response,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> VersionDetail:
    """Saves a new version when If-Match is the newest one's ETag (L16)."""
    if if_match is None:
        raise Conflict("send If-Match with the ETag of the version that you changed")
    spec = _parse(body)
    if spec.name != name:
        raise Invalid(f"the definition names {spec.name}, the address {name}; they must be equal")
    version = save_version(
        ctx,
        who,
        spec,
        message=body.message,
        on=body.on,
        if_newest=if_match.strip('"'),
        code=body.files(),
        key=idempotency_key,
    )
    return _answer(ctx, version, response)


@router.delete("/{name}")
def remove_pipeline(ctx: Ctx, who: Who, name: Name, idempotency_key: IdempotencyKey = None) -> Pipeline:
    """Writes a tombstone."""
    return delete_pipeline(ctx, who, name, key=idempotency_key)


@router.get("/{name}/versions")
def list_versions(ctx: Ctx, who: Who, name: Name, before: Cursor = None, limit: Limit = 100) -> Page[VersionHead]:
    """Versions, newest first."""
    with ctx.store.read() as view:
        pipeline = visible_pipeline(view, who, name)
        found = view.pipelines.versions(pipeline.id, before, limit)
        heads = _heads(view, pipeline, found)
    return Page(items=heads, next=str(found[-1].number) if len(found) == limit else None)


@router.post("/{name}/versions", status_code=201)
def add_version(
    ctx: Ctx,
    who: Who,
    name: Name,
    body: Definition,
    response: Response,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> VersionDetail:
    """Saves a new version; with If-Match only on top of that one."""
    spec = _parse(body)
    if spec.name != name:
        raise Invalid(f"the definition names {spec.name}, the address {name}; they must be equal")
    newest = if_match.strip('"') if if_match else None
    version = save_version(
        ctx, who, spec, message=body.message, on=body.on, if_newest=newest, code=body.files(), key=idempotency_key
    )
    return _answer(ctx, version, response)


@router.get("/{name}/versions/{number}")
def get_version(ctx: Ctx, who: Who, name: Name, number: Number, response: Response) -> VersionDetail:
    """One version; it never changes, its stage does."""
    with ctx.store.read() as view:
        pipeline = visible_pipeline(view, who, name)
        return _detail(view, pipeline, view.pipelines.numbered(pipeline, number), response)


@router.post("/{name}/versions/{number}/plan")
def plan(ctx: Ctx, who: Who, name: Name, number: Number, body: To) -> Draft:
    """What promoting would be now, who may approve it, and what stands in its way."""
    return plan_promotion(ctx, who, name, number, _target(body.target))


@router.post("/{name}/versions/{number}/promote", status_code=201)
def promote(
    ctx: Ctx, who: Who, name: Name, number: Number, body: Promote, idempotency_key: IdempotencyKey = None
) -> Answered:
    """Asks for the promotion; into QA it executes at once."""
    target = _target(body.target)
    asked = request_promotion(
        ctx, who, name, number, target, reason=body.reason, if_plan=body.if_plan, key=idempotency_key
    )
    return Answered.of(asked) if target.governed else carry_on(ctx, who, asked)


@router.post("/{name}/versions/{number}/demote")
def demote(
    ctx: Ctx, who: Who, name: Name, number: Number, body: WithReason, idempotency_key: IdempotencyKey = None
) -> Deployment:
    """Takes the version out of UAT."""
    return demote_version(ctx, who, name, number, reason=body.reason, key=idempotency_key)


@router.post("/{name}/versions/{number}/retire")
def retire(
    ctx: Ctx, who: Who, name: Name, number: Number, body: Retire, idempotency_key: IdempotencyKey = None
) -> Deployment:
    """Takes the version out of production."""
    return retire_version(ctx, who, name, number, reason=body.reason, consent=body.consent, key=idempotency_key)


@router.post("/{name}/versions/{number}/clone", status_code=201)
def clone(
    ctx: Ctx,
    who: Who,
    name: Name,
    number: Number,
    body: Clone,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> VersionDetail:
    """Saves the version again, as the newest or under another name."""
    return _answer(ctx, clone_pipeline(ctx, who, name, number, to=body.to, key=idempotency_key), response)


@router.post("/{name}/versions/{number}/break-glass", status_code=201)
def break_the_glass(
    ctx: Ctx, who: Who, name: Name, number: Number, body: BreakGlass, idempotency_key: IdempotencyKey = None
) -> Answered:
    """Deploys without approval in an emergency; labelled unreviewed."""
    return break_glass(ctx, who, name, number, body.target, reason=body.reason, key=idempotency_key)


@router.get(
    "/{name}/versions/{number}/export",
    response_class=Response,
    responses={200: {"content": {"application/vnd.dsse+json": {}}, "description": "The signed bundle"}},
)
def export(ctx: Ctx, who: Who, name: Name, number: Number) -> Response:
    """The signed bundle, as a file."""
    headers = {"Content-Disposition": f'attachment; filename="{name}-v{number}.json"'}
    data = export_version(ctx, who, name, number)
    return Response(data, media_type="application/vnd.dsse+json", headers=headers)


@router.get("/{name}/versions/{number}/diff/{other}")
def diff(ctx: Ctx, who: Who, name: Name, number: Number, other: Number) -> SpecDiff:
    """What changed from `number` to `other`."""
    with ctx.store.read() as view:
        pipeline = visible_pipeline(view, who, name)
        before, after = (spec_of(view.pipelines.numbered(pipeline, one)) for one in (number, other))
        code = code_texts(view, before), code_texts(view, after)
    return diff_specs(before, after, code)


def _parse(body: Definition) -> PipelineSpec:
    text = body.definition if isinstance(body.definition, str) else json.dumps(body.definition)
    return parse_pipeline(text)


def _target(target: Environment) -> Environment:
    if target.before is None:
        raise Invalid("promote to QA, UAT or production; development is where versions are saved")
    return target


def _heads(view: View, pipeline: Pipeline, versions: tuple[Version, ...]) -> list[VersionHead]:
    history = view.deployments.history(pipeline.id)
    heads: list[VersionHead] = []
    for version in versions:
        own = [one for one in history if one.version_id == version.id]
        active = [one.environment for one in own if one.ended_at is None]
        last = [one for one in own if one.environment is Environment.PRODUCTION][-1:]
        retired = any((one.ended_reason or "").startswith("retired") for one in last)
        author = view.people.get(version.author).name if version.author is not None else ""
        stage = stage_of(frozenset(active), retired=retired)
        heads.append(VersionHead(**version_head(version, author, stage, active)))
    return heads


def _answer(ctx: Ctx, version: Version, response: Response) -> VersionDetail:
    with ctx.store.read() as view:
        return _detail(view, view.pipelines.get(version.pipeline_id), version, response)


def _detail(view: View, pipeline: Pipeline, version: Version, response: Response) -> VersionDetail:
    (head,) = _heads(view, pipeline, (version,))
    response.headers["ETag"] = f'"{version.digest}"'
    return VersionDetail(
        **dict(head),
        pipeline=pipeline.name,
        definition=json.loads(version.spec),
        origin=version.origin,
    )
