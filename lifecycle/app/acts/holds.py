"""The pages that freeze and stop, and that lift a freeze or a stop."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from lifecycle.app.acts.act_view import (
    Act,
    Button,
    Group,
    Key,
    Line,
    Reason,
    environment_crumbs,
    pipeline_names,
    request_group,
    run_group,
    who_can,
)
from lifecycle.app.kit import links
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Visitor, Who
from lifecycle.app.kit.render import kit_of, render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.words import NAMES, exact
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Hold, HoldKind
from lifecycle.domain.roles import Role
from lifecycle.usecases.context import Context
from lifecycle.usecases.holding import Holding, lift_hold, plan_hold, set_hold
from lifecycle.verbs.inputs import Id

router = APIRouter()
_Scope = Annotated[str, Query(max_length=63, pattern=r"^[^\x00]*$")]
_Of = Annotated[str, Form(max_length=63, pattern=r"^[^\x00]*$")]
_LEADS = {
    HoldKind.FREEZE: ("Nothing is promoted, demoted, retired or rolled back until someone lifts it. Runs continue."),
    HoldKind.STOP: "No run starts or publishes until someone lifts it.",
}


@router.get("/environments/{environment}/freeze")
def freeze_page(ctx: Ctx, request: Request, who: Who, environment: Environment, pipeline: _Scope = "") -> Response:
    """What a freeze would do now, and the form."""
    return _page(ctx, request, who, HoldKind.FREEZE, environment, pipeline.strip())


@router.post("/environments/{environment}/freeze")
def freeze(
    ctx: Ctx, request: Request, who: Who, environment: Environment, pipeline: _Of = "", reason: Reason = "",
    key: Key = None,
) -> Response:  # fmt: skip
    """Freezes."""
    return _set(ctx, request, who, HoldKind.FREEZE, environment, pipeline, reason, key)


@router.get("/environments/{environment}/stop")
def stop_page(ctx: Ctx, request: Request, who: Who, environment: Environment, pipeline: _Scope = "") -> Response:
    """What a stop would do now, and the form."""
    return _page(ctx, request, who, HoldKind.STOP, environment, pipeline.strip())


@router.post("/environments/{environment}/stop")
def stop(
    ctx: Ctx, request: Request, who: Who, environment: Environment, pipeline: _Of = "", reason: Reason = "",
    key: Key = None,
) -> Response:  # fmt: skip
    """Stops."""
    return _set(ctx, request, who, HoldKind.STOP, environment, pipeline, reason, key)


@router.get("/holds/{hold_id}/lift")
def lift_page(ctx: Ctx, request: Request, who: Who, hold_id: Id) -> Response:
    """What lifting would set free, and the form."""
    with ctx.store.read() as view:
        hold = view.policies.hold(hold_id)
        name = view.pipelines.get(hold.pipeline_id).name if hold.pipeline_id is not None else None
        people = view.people.names((hold.set_by, hold.lifted_by))
    plan = plan_hold(ctx, who.actor, hold.kind, hold.environment, name)
    scope = _scope(hold.environment, name)
    told = Group(
        f"The {hold.kind.value}",
        "snow" if hold.kind is HoldKind.FREEZE else "stop",
        (Line(f"Set by {people[hold.set_by]} on {exact(hold.set_at)}:"), Line(hold.reason)),
    )
    lifted = hold.lifted_at is not None
    act = Act(
        title=f"Lift the {hold.kind.value} of {scope}",
        lead=f"It was lifted by {people[hold.lifted_by]} on {exact(hold.lifted_at)}." if lifted else "It is in effect.",
        crumbs=environment_crumbs(hold.environment),
        groups=(told,) if lifted else (told, *_after(ctx, plan, hold)),
        buttons=()
        if lifted
        else (
            Button(links.lift(hold.id), f"Lift the {hold.kind.value}", plan.checks, danger=False, asks_reason=False),
        ),
        who=who_can(ctx, Role.LEAD, name),
        role=Role.LEAD,
        target=hold.environment,
    )
    return render(request, "acts/act.html", act=act)


@router.post("/holds/{hold_id}/lift")
def lift(ctx: Ctx, request: Request, who: Who, hold_id: Id) -> Response:
    """Lifts; of two people who do so at once both see it lifted."""
    hold = lift_hold(ctx, who.actor, hold_id)
    return done(request, links.environment(hold.environment), f"The {hold.kind.value} is lifted.")


def _page(
    ctx: Context, request: Request, who: Visitor, kind: HoldKind, environment: Environment, name: str
) -> Response:
    plan = plan_hold(ctx, who.actor, kind, environment, name or None)
    word = kind.value
    scope = _scope(environment, name or None)
    groups = _frozen(ctx, plan, environment) if kind is HoldKind.FREEZE else _stopped(ctx, request, plan)
    act = Act(
        title=f"{word.capitalize()} {scope}",
        lead=_LEADS[kind],
        crumbs=environment_crumbs(environment),
        groups=groups,
        buttons=(
            Button(
                f"/environments/{environment}/{word}",
                f"{word.capitalize()} {scope}",
                plan.checks,
                hint=f"Everyone sees this until the {word} is lifted.",
                danger=kind is HoldKind.STOP,
                hidden={"pipeline": name},
            ),
        ),
        who=who_can(ctx, Role.LEAD, name or None),
        role=Role.LEAD,
        target=environment,
        warning=f"A {word} already covers it: {plan.same[0].reason}" if plan.same else "",
    )
    return render(request, "acts/hold.html", act=act, kind=word, environment=environment, pipeline=name)


def _set(
    ctx: Context, request: Request, who: Visitor, kind: HoldKind, environment: Environment, name: str, reason: str,
    key: str | None,
) -> Response:  # fmt: skip
    set_hold(ctx, who.actor, kind, environment, name or None, reason=reason, key=key)
    done_to = "frozen" if kind is HoldKind.FREEZE else "stopped"
    scope = _scope(environment, name or None)
    return done(request, links.environment(environment), f"{scope[0].upper()}{scope[1:]} is {done_to}.")


def _scope(environment: Environment, name: str | None) -> str:
    return f"{name} in {NAMES[environment]}" if name else NAMES[environment]


def _frozen(ctx: Context, plan: Holding, environment: Environment) -> tuple[Group, ...]:
    held = [f"No request to {NAMES[environment]} executes; people can still request, approve and reject."]
    if environment is Environment.UAT:
        held.append("No version is demoted.")
    if environment is Environment.PRODUCTION:
        held.append("No version is retired, and none is rolled back.")
    free = [Line("Runs and schedules continue.")]
    if environment.governed:
        free.append(Line("Breaking the glass still works, and leaves a release that is", unreviewed=True))
    return (
        Group("Blocked", "lock", tuple(Line(text) for text in held)),
        Group("Not blocked", "check", tuple(free)),
        request_group(ctx, "Waiting requests", plan.waiting, none="No requests are open."),
    )


def _stopped(ctx: Context, request: Request, plan: Holding) -> tuple[Group, ...]:
    with ctx.store.read() as view:
        names = pipeline_names(view, plan.stopped)
    held = (
        Line("No run starts, no matter what launches it: people, schedules, sensors, backfills."),
        Line("Lifting the stop does not restore revoked runs: start them again."),
    )
    return (
        Group("Blocked", "lock", held),
        run_group(plan.stopped, kit_of(request).dagster, names),
        Group("Not blocked", "check", (Line("Requests, approvals and promotions: only a freeze blocks those."),)),
    )


def _after(ctx: Context, plan: Holding, hold: Hold) -> tuple[Group, ...]:
    others = tuple(
        Line(f" still covers it: {one.reason}", href=links.lift(one.id), link=f"Another {one.kind.value}")
        for one in plan.same
        if one.id != hold.id
    )
    still = (Group("Still in effect", "lock", others),) if others else ()
    if hold.kind is HoldKind.STOP:
        free = Line("Runs may start and publish again; start revoked runs again.")
        return (Group("No longer blocked", "check", (free,)), *still)
    return (
        request_group(ctx, "Requests it no longer blocks", plan.waiting, none="No requests are waiting."),
        Group("What happens next", "check", (Line("Approved requests execute automatically within about a minute."),)),
        *still,
    )
