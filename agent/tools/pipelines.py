"""Tools that read a pipeline, and what people asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, Field

from agent.tools.call import ToolCall
from agent.tools.naming import lines, link, pipeline_named, request_numbered, when
from agent.tools.paging import fit, part, short
from agent.tools.tool import Answer, Input, Toolset, tool
from lifecycle.domain.environment import Environment
from lifecycle.domain.plan import Plan
from lifecycle.domain.promotion import State
from lifecycle.spec import PipelineSpec, dump_yaml
from lifecycle.usecases.about_pipeline import About
from lifecycle.verbs import catalog, promotions
from lifecycle.verbs import pipelines as verbs
from lifecycle.verbs.answers import RequestDetail


class GetPipeline(Input):
    """Which one, and how much."""

    name: str = Field(max_length=63)
    version: int | None = Field(None, ge=1)
    definition: bool = Field(False, description="also its file")
    offset: int = Field(0, ge=0, description="of the file")


class Pipeline(Answer):
    """In short; every list has a line each."""

    name: str
    version: int
    digest: str
    description: str
    owners: tuple[str, ...]
    starts: str
    steps: tuple[str, ...]
    versions: tuple[str, ...]
    active: tuple[str, ...]
    runs: tuple[str, ...]
    requests: tuple[str, ...]
    blocks: tuple[str, ...]
    link: str
    definition: str | None = None
    offset: int | None = None


@tool(Toolset.READ)
def get_pipeline(call: ToolCall, given: GetPipeline) -> Pipeline:
    """Show a pipeline: steps, schedule, owners, versions, where active, last runs, open requests, what blocks it."""
    with pipeline_named(call, given.name):
        about = call.lifecycle.ask(catalog.about, {"name": given.name, "number": given.version})
        versions = call.lifecycle.ask(verbs.versions, {"name": given.name, "limit": 5})
        text = _file(call, given.name, about.version) if given.definition else None
    shown = part(text, given.offset, room=9_000) if text is not None else None
    return Pipeline(
        name=about.name,
        version=about.version,
        digest=about.digest,
        description=short(about.description, 500),
        owners=lines(about.owners, most=10),
        starts=about.starts + (f", next {when(about.next_run)}" if about.next_run else ""),
        steps=lines(
            f"{one.node}: {one.what}" + (f" <- {', '.join(one.reads)}" if one.reads else "") for one in about.steps
        ),
        versions=tuple(
            f"v{one.number} by {one.author} {when(one.created_at)} {short(one.message, 100)}" for one in versions
        ),
        active=tuple(
            f"{one.environment.value}: v{one.version} since {when(one.since)}{' (unreviewed)' * one.unreviewed}"
            for one in about.active
        ),
        runs=tuple(
            f"{one.run_id} in {one.environment.value}: v{one.version} {one.state}, {one.published} of {one.tables} "
            f"tables, {when(one.at)}"
            for one in about.runs
        ),
        requests=lines(f"{one.id}: v{one.version} to {one.target.value}, {one.state.value}" for one in about.requests),
        blocks=lines(about.blocks, most=15, width=300),
        link=link(call, "pipelines", about.name),
        definition=shown.text if shown else None,
        offset=shown.following if shown else None,
        next=_what_now(about),
    )


def _file(call: ToolCall, name: str, number: int) -> str:
    """The pipeline file; saving resolves the lock anew, so it stays out."""
    version = call.lifecycle.pipelines.version(name, number)
    spec = PipelineSpec.model_validate_json(version.spec, by_alias=True, by_name=False)
    return dump_yaml(spec.model_copy(update={"lock": None}))


def _what_now(about: About) -> str:
    if about.requests:
        return f"get_request {about.requests[0].id} shows what it waits for"
    where = [one.environment for one in about.active if one.version == about.version]
    following = max(where, key=lambda one: one.rank).after if where else None
    return f"plan_promotion to {following.value} shows what is missing" if following else ""


class ListRequests(Input):
    """Filters; all of them together."""

    pipeline: str | None = Field(None, max_length=63)
    to: Environment | None = None
    state: Literal["open", "over"] | None = None
    cursor: int | None = Field(None, ge=1)
    limit: int = Field(20, ge=1, le=100)


class RequestRow(BaseModel):
    """A request in a list."""

    id: int
    pipeline: str
    version: int
    to: Environment
    state: State
    by: str
    at: str
    reason: str


class RequestRows(Answer):
    """Newest first."""

    requests: tuple[RequestRow, ...]
    cursor: int | None


@tool(Toolset.READ)
def list_requests(call: ToolCall, given: ListRequests) -> RequestRows:
    """List requests to promote, newest first."""
    asked = {"pipeline": given.pipeline, "target": given.to, "before": given.cursor, "limit": given.limit + 1}
    wanted = {"open": False, "over": True}.get(given.state or "")
    states = tuple(one for one in State if wanted is not None and one.is_terminal is wanted)
    with pipeline_named(call, given.pipeline or ""):
        found = call.lifecycle.ask(promotions.list_requests, {**asked, "states": states})
    rows = [
        RequestRow(
            id=one.id,
            pipeline=one.pipeline,
            version=one.version,
            to=one.target,
            state=one.state,
            by=_who(one.requested_by, one.acted_for),
            at=when(one.requested_at),
            reason=short(one.reason, 120),
        )
        for one in found
    ]
    kept, cursor = fit(rows, given.limit, lambda one: str(one.id))
    return RequestRows(
        requests=kept,
        cursor=None if cursor is None else int(cursor),
        next="get_request shows one" if kept else "nobody asked for such a promotion",
    )


class GetRequest(Input):
    """Which one."""

    id: int = Field(ge=1)


class Request(Answer):
    """`blocks`: what it waits for; `quorum`: how far each alternative is filled. Comments are what people wrote."""

    id: int
    pipeline: str
    version: int
    to: Environment
    state: State
    by: str
    at: str
    expires: str
    reason: str
    outcome: str
    plan: tuple[str, ...]
    plan_digest: str
    quorum: tuple[str, ...]
    may_approve: tuple[str, ...]
    decisions: tuple[str, ...]
    comments: tuple[str, ...]
    blocks: tuple[str, ...]
    link: str


@tool(Toolset.READ)
def get_request(call: ToolCall, given: GetRequest) -> Request:
    """Show a request: plan, evidence, quorum, decisions, comments, and what it waits for. People decide at its link."""
    with request_numbered(call, given.id):
        found = call.lifecycle.promotions.show(given.id)
        moved = call.lifecycle.promotions.comparison(given.id).outcome if found.state.is_open else ""
    return Request(
        id=found.id,
        pipeline=found.pipeline,
        version=found.version,
        to=found.target,
        state=found.state,
        by=_who(found.requested_by, found.acted_for),
        at=when(found.requested_at),
        expires=when(found.expires_at),
        reason=short(found.reason, 500),
        outcome=short(found.outcome, 500),
        plan=lines((*plan_lines(found.plan), found.newer_runs.warning), most=30, width=250),
        plan_digest=found.plan_digest,
        quorum=lines(found.seats, most=10),
        may_approve=lines(found.may_approve, most=20),
        decisions=lines(
            (
                f"{one.person} {one.verdict.value} {when(one.at)}"
                + (f" (lapsed: {one.lapsed})" if one.lapsed else "")
                + (f": {one.reason}" if one.reason else "")
                for one in found.decisions
            ),
            most=15,
        ),
        comments=lines((f"{one.person} {when(one.at)}: {one.body}" for one in found.comments[-15:]), width=400),
        blocks=lines(_blocks(found, moved), most=10, width=400),
        link=link(call, "approvals", found.id),
        next=_decide(found),
    )


def plan_lines(plan: Plan) -> Iterator[str]:
    """What would move, and on which evidence."""
    yield f"{plan.kind} from {plan.source.value} to {plan.target.value}: {plan.carry.value} ({plan.carry_reason})"
    for table in plan.tables:
        to = f"snapshot {table.base or 'none'} -> {table.candidate}" if table.candidate else "written by the next run"
        yield f"{table.table}: {to}" + "".join(f"; {one}" for one in table.metadata_changes)
    for one in plan.inputs:
        yield f"read {one.name}" + (f" at snapshot {one.snapshot}" if one.snapshot else "")
    if plan.receipts:
        yield f"evidence: {len(plan.receipts)} receipts in session {plan.session}"


def _blocks(found: RequestDetail, moved: str) -> Iterator[str]:
    if found.waiting:
        yield found.waiting
    if found.state is State.REQUESTED:
        yield f"needs approval: {found.quorum}" + ("" if found.may_approve else "; nobody may approve it")
    if moved:
        yield f"it is stale: {moved}"


def _decide(found: RequestDetail) -> str:
    if found.state is State.REQUESTED:
        return "a person who may approve decides at the link; comment adds to the discussion"
    return "" if found.state.is_terminal else "nothing to do: it executes when nothing blocks it"


def _who(by: str | None, acted_for: str | None) -> str:
    return f"{by} for {acted_for}" if acted_for else by or "the system"
