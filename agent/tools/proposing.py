"""Tools that propose promotions. People decide: no tool approves, rejects, reviews or executes."""

from __future__ import annotations

from pydantic import Field

from agent.tools.call import ToolCall
from agent.tools.errors import ToolError
from agent.tools.naming import lines, link, pipeline_named, request_numbered
from agent.tools.pipelines import plan_lines
from agent.tools.tool import Answer, Effect, Input, Toolset, tool
from lifecycle.domain.environment import Environment
from lifecycle.domain.planning import Planning
from lifecycle.domain.promotion import State
from lifecycle.domain.roles import Role
from lifecycle.verbs.answers import Request

KEY = Field(None, min_length=8, max_length=200, pattern=r"^[!-~]+$", description="same key, done once")


class PlanPromotion(Input):
    """A version, and where to."""

    pipeline: str = Field(max_length=63)
    version: int = Field(ge=1)
    to: Environment


class Planned(Answer):
    """`missing` is what has to be done first."""

    possible: bool
    missing: tuple[str, ...]
    fulfilled: tuple[str, ...]
    plan: tuple[str, ...]
    plan_digest: str
    warnings: tuple[str, ...]
    may_approve: tuple[str, ...]


@tool(Toolset.PROPOSE)
def plan_promotion(call: ToolCall, given: PlanPromotion) -> Planned:
    """Show what a promotion would move, what is fulfilled, what is missing, and who may approve it."""
    found = _plan(call, given)
    possible = not found.problems
    return Planned(
        possible=possible,
        missing=lines(found.problems, most=20, width=300),
        fulfilled=lines((one.text for one in found.checks if one.ok), most=20),
        plan=lines(plan_lines(found.plan), most=30, width=250),
        plan_digest=found.plan.digest,
        warnings=lines(found.advice.warnings, most=10, width=300),
        may_approve=lines(found.advice.may_approve, most=20),
        next="request_promotion asks for it" if possible else "do what is missing, then plan again",
    )


class RequestPromotion(PlanPromotion):
    """And why."""

    reason: str = Field(min_length=1, max_length=2_000, description="why, for those who approve")
    dry_run: bool = True
    plan_digest: str | None = Field(None, max_length=100, description="refuse if the plan is another by now")
    key: str | None = KEY


class Requested(Answer):
    """`request` is missing in a dry run."""

    request: int | None
    state: str
    missing: tuple[str, ...]
    plan: tuple[str, ...]
    plan_digest: str
    link: str | None


@tool(Toolset.PROPOSE, role=Role.DATA_ENGINEER, effect=Effect.ADD)
def request_promotion(call: ToolCall, given: RequestPromotion) -> Requested:
    """Ask for a promotion. dry_run shows the plan; dry_run=false asks. QA needs no approval and executes at once."""
    found = _plan(call, given)
    told = lines(plan_lines(found.plan), most=30, width=250)
    missing = lines(found.problems, most=20, width=300)
    if given.dry_run or found.problems:
        return Requested(
            request=None,
            state="nothing was asked",
            missing=missing,
            plan=told,
            plan_digest=found.plan.digest,
            link=None,
            next="do what is missing first" if found.problems else "call again with dry_run=false and this plan_digest",
        )
    if given.plan_digest not in (None, found.plan.digest):
        raise ToolError("the plan has changed since you looked", hint="look at it again with dry_run")
    tables = len(found.plan.tables)
    does = "Promote" if given.to is Environment.QA else "Request to promote"
    call.confirm(f"{does} {given.pipeline} v{given.version} to {given.to.label} ({tables} tables)?")
    with pipeline_named(call, given.pipeline):
        asked = call.lifecycle.promotions.request(
            given.pipeline,
            given.version,
            given.to,
            reason=given.reason,
            if_plan=found.plan.digest,
            key=given.key,
        )
    return Requested(
        request=asked.id,
        state=asked.state.value,
        missing=(),
        plan=told,
        plan_digest=asked.plan_digest,
        link=link(call, "approvals", asked.id),
        next=_next(given, asked),
    )


def _next(given: RequestPromotion, asked: Request) -> str:
    if given.to is not Environment.QA:
        return "a person approves it at the link"
    if asked.state is State.DONE:
        return f"run {given.pipeline} in qa"
    return f"wait: {asked.waiting or asked.outcome or 'it executes as soon as it can'}"


class Comment(Input):
    """What to say, to which request."""

    request: int = Field(ge=1)
    text: str = Field(min_length=1, max_length=2_000)
    key: str | None = KEY


class Commented(Answer):
    """Who said it, and where it is."""

    by: str
    link: str


@tool(Toolset.PROPOSE, effect=Effect.ADD)
def comment(call: ToolCall, given: Comment) -> Commented:
    """Add a comment to a request; everybody who sees it can read it, and nobody can remove it."""
    with request_numbered(call, given.request):
        said = call.lifecycle.promotions.comment(given.request, given.text, key=given.key)
    return Commented(
        by=said.person, link=link(call, "approvals", given.request), next="get_request shows the discussion"
    )


class Withdraw(Input):
    """Which request, and why."""

    request: int = Field(ge=1)
    reason: str = Field(min_length=1, max_length=2_000)
    dry_run: bool = True
    key: str | None = KEY


class Withdrawn(Answer):
    """Its state."""

    state: str
    what: str
    link: str


@tool(Toolset.PROPOSE, role=Role.DATA_ENGINEER, effect=Effect.CHANGE)
def withdraw(call: ToolCall, given: Withdraw) -> Withdrawn:
    """Withdraw a request that is not executed yet; its approvals are lost."""
    with request_numbered(call, given.request):
        found = call.lifecycle.promotions.show(given.request)
        what = f"request {found.id}: {found.pipeline} v{found.version} to {found.target.label}"
        if given.dry_run:
            if not found.state.is_open:
                raise ToolError(f"request {found.id} is {found.state.value} and can no longer be withdrawn")
        else:
            call.confirm(f"Withdraw {what}, with {sum(one.lapsed == '' for one in found.decisions)} approvals?")
            found = call.lifecycle.promotions.withdraw(given.request, reason=given.reason, key=given.key)
    return Withdrawn(
        state=found.state.value,
        what=what,
        link=link(call, "approvals", given.request),
        next="call again with dry_run=false to withdraw it" if given.dry_run else "request_promotion asks anew",
    )


def _plan(call: ToolCall, given: PlanPromotion) -> Planning:
    with pipeline_named(call, given.pipeline):
        return call.lifecycle.promotions.plan(given.pipeline, given.version, given.to)
