"""Promote: the plan before anybody asks, and asking under exactly that plan."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import ValidationError
from starlette.responses import Response

from lifecycle.app.approvals.plan_view import plan_view
from lifecycle.app.kit import links
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Visitor, Who
from lifecycle.app.kit.render import kit_of, render
from lifecycle.app.kit.request import Ctx
from lifecycle.domain.checklist import Check, fulfilled
from lifecycle.domain.environment import Environment
from lifecycle.domain.plan import Plan, plan_changes
from lifecycle.domain.planning import Planning
from lifecycle.domain.promotion import State
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, NotFound
from lifecycle.usecases.context import Context
from lifecycle.usecases.execute_promotion import carry_on
from lifecycle.usecases.parts.access import role_check, target_of
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.request_promotion import request_promotion
from lifecycle.verbs.inputs import Name, Number

router = APIRouter()
_PATH = "/pipelines/{name}/versions/{number}/promote/{target}"
_TEXT = r"^[^\x00]*$"
_MAX_SEEN = 1_000_000
FormText = Annotated[str, Form(max_length=2_000, pattern=_TEXT)]
FormKey = Annotated[str, Form(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
FormDigest = Annotated[str, Form(max_length=100, pattern=r"^[!-~]+$")]


@router.get(_PATH)
def promote_page(ctx: Ctx, request: Request, who: Who, name: Name, number: Number, target: Environment) -> Response:
    """What promoting would be now, what blocks it, and the form that asks for exactly that."""
    planned = plan_promotion(ctx, who.actor, name, number, _reachable(target))
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        version = view.pipelines.numbered(pipeline, number)
        into = [one for one in view.promotions.unfinished(pipeline.id) if one.target is target]
        same = next((one for one in into if one.version_id == version.id), None)
        checks = [
            role_check(
                view, who.actor, Role.DATA_ENGINEER, target_of(view, pipeline, version), "requesting a promotion"
            ),
            *planned.checks,
        ]
        if same is not None:
            checks.append(Check(False, f"request {same.id} asks for the same promotion and {same.state.standing}"))
        shown = plan_view(view, pipeline.id, planned.plan, kit_of(request).dagster)
    return render(
        request,
        "approvals/promote.html",
        plan=planned.plan,
        seen=planned.plan.model_dump_json(),
        shown=shown,
        checks=checks,
        can_ask=fulfilled(checks),
        waits=_waits(planned),
        same=same,
        others=[one for one in into if one is not same],
        warnings=planned.advice.warnings,
        may_approve=planned.advice.may_approve,
        may_not=planned.advice.may_not,
        button="Request approval" if target.governed else "Promote to QA now",
    )


@router.post(_PATH)
def ask(
    ctx: Ctx,
    request: Request,
    who: Who,
    name: Name,
    number: Number,
    target: Environment,
    key: FormKey,
    if_plan: FormDigest,
    seen: Annotated[str, Form(max_length=_MAX_SEEN, pattern=_TEXT)] = "",
    reason: FormText = "",
) -> Response:
    """Asks under the plan that was shown; into QA it executes at once. Two clicks are one request."""
    try:
        asked = request_promotion(
            ctx, who.actor, name, number, _reachable(target), reason=reason.strip(), if_plan=if_plan, key=key
        )
    except Conflict:
        _say_what_moved(ctx, who, (name, number, target), if_plan, seen)
        raise
    if target.governed:
        return done(request, links.request(asked.id), f"Approval requested: request {asked.id}.")
    now = carry_on(ctx, who.actor, asked)
    if now.state is State.DONE:
        return done(request, links.request(asked.id), f"{name} version {number} is active in QA.")
    waiting = f", waiting: {now.waiting}" if now.waiting else ""
    return done(request, links.request(asked.id), f"The promotion is {now.state.value}{waiting}.", "warn")


def _reachable(target: Environment) -> Environment:
    if target.before is None:
        raise NotFound("a version becomes active in development when you save it; promote to QA, UAT or production")
    return target


def _waits(planned: Planning) -> str:
    """What an approved request would still wait for: no problem, it is not time yet."""
    later = [line for line in planned.advice.blocked if line not in planned.problems]
    return f"Once approved, it will wait: {'; '.join(later)}." if later else ""


def _say_what_moved(ctx: Context, who: Visitor, what: tuple[str, int, Environment], if_plan: str, seen: str) -> None:
    """Raises Conflict with the fields that moved, when the plan is another than the one in the form."""
    now = plan_promotion(ctx, who.actor, *what).plan
    if now.digest == if_plan:
        return
    lines = ["The plan has changed since you reviewed it, so nothing was requested."]
    before = _read(seen)
    if before is not None and before.digest == if_plan:
        lines.extend(f"changed: {change}" for change in plan_changes(before, now))
    raise Conflict("\n".join([*lines, "Reload the page to see the current plan."]))


def _read(seen: str) -> Plan | None:
    """The plan in the form; its digest says whether it is the one that was shown."""
    try:
        return Plan.model_validate_json(seen)
    except ValidationError:
        return None
