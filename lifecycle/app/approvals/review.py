"""The review page: everything that a decision needs, on one page, and the decision itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from lifecycle.app.approvals.activity import activity
from lifecycle.app.approvals.plan_view import change_line, plan_view
from lifecycle.app.approvals.present import Comparisons, Present
from lifecycle.app.approvals.promote import FormDigest, FormKey, FormText
from lifecycle.app.approvals.review_view import Review, review
from lifecycle.app.kit import links
from lifecycle.app.kit.answers import Kind, done
from lifecycle.app.kit.guard import Visitor, Who
from lifecycle.app.kit.parts import parts_in
from lifecycle.app.kit.render import kit_of, render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.spec.spec_diff_view import SpecDiffView, spec_diff_view
from lifecycle.app.kit.words import NAMES
from lifecycle.domain.promotion import Promotion, State, Verdict
from lifecycle.domain.roles import Role
from lifecycle.errors import NotFound
from lifecycle.store.unit import View
from lifecycle.usecases.approve_promotion import approve_promotion
from lifecycle.usecases.comment_promotion import MAX_COMMENT, comment_promotion
from lifecycle.usecases.context import Context
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.parts.specs import spec_of
from lifecycle.usecases.parts.version_code import code_texts
from lifecycle.usecases.parts.visible import visible_request
from lifecycle.usecases.refresh_promotion import refresh_promotion
from lifecycle.usecases.reject_promotion import reject_promotion
from lifecycle.usecases.review_release import review_release
from lifecycle.usecases.withdraw_promotion import withdraw_promotion
from lifecycle.verbs.inputs import Id

router = APIRouter()
_PATH = "/approvals/{promotion_id}"
# How long a page, and how long its live part, waits for the catalog (seconds).
_PAGE_WAITS = 0.15
_PART_WAITS = 5.0
Everything = Annotated[bool, Query(alias="all")]


@router.get(_PATH)
def review_page(ctx: Ctx, request: Request, who: Who, promotion_id: Id, everything: Everything = False) -> Response:
    """The plan, what changes, the evidence, who decides, and the discussion."""
    promotion, present = _look(ctx, request, who, promotion_id, _PAGE_WAITS)
    with ctx.store.read() as view:
        shown = review(view, who.actor, promotion, present)
        plan = plan_view(
            view,
            promotion.pipeline_id,
            promotion.plan,
            kit_of(request).dagster,
            ahead=not promotion.state.is_terminal,
        )
        told = activity(view, promotion, all_of_it=everything)
        difference = _spec_diff(view, promotion)
    return render(
        request,
        "approvals/review.html",
        # Counted already: the badge says what the way to the next one has.
        pending=lambda: shown.pending,
        review=shown,
        shown=plan,
        activity=told,
        everything=everything,
        spec=difference,
        moved=_moved(shown),
        max_comment=MAX_COMMENT,
    )


@router.get(_PATH + "/status")
def status_part(ctx: Ctx, request: Request, who: Who, promotion_id: Id) -> Response:
    """The state of the request, compared with the present by what executes it."""
    promotion, present = _look(ctx, request, who, promotion_id, _PART_WAITS)
    with ctx.store.read() as view:
        shown = review(view, who.actor, promotion, present)
    return render(request, "approvals/status.html", review=shown, moved=_moved(shown))


@router.get(_PATH + "/decision")
def decision_part(ctx: Ctx, request: Request, who: Who, promotion_id: Id) -> Response:
    """What the visitor may do with the request now."""
    promotion, present = _look(ctx, request, who, promotion_id, _PART_WAITS)
    with ctx.store.read() as view:
        shown = review(view, who.actor, promotion, present)
    return render(request, "approvals/decision.html", review=shown)


@router.get(_PATH + "/activity")
def activity_part(ctx: Ctx, request: Request, who: Who, promotion_id: Id, everything: Everything = False) -> Response:
    """The history and the discussion."""
    with ctx.store.read() as view:
        promotion = visible_request(view, who.actor, promotion_id)
        told = activity(view, promotion, all_of_it=everything)
    return render(request, "approvals/activity.html", promotion=promotion, activity=told, everything=everything)


@router.post(_PATH + "/approve")
def approve(
    ctx: Ctx, request: Request, who: Who, promotion_id: Id, key: FormKey, plan_digest: FormDigest, reason: FormText = ""
) -> Response:
    """Approves the plan with the digest that was seen."""
    after = approve_promotion(ctx, who.actor, promotion_id, plan_digest, reason=reason.strip(), key=key)
    waiting = f" Waiting: {after.waiting}." if after.waiting else ""
    return done(request, links.request(promotion_id), f"You approved. {_stands(after)}{waiting}", _kind(after))


@router.post(_PATH + "/reject")
def reject(
    ctx: Ctx, request: Request, who: Who, promotion_id: Id, key: FormKey, plan_digest: FormDigest, reason: FormText = ""
) -> Response:
    """Rejects with a reason; one denial blocks."""
    reject_promotion(ctx, who.actor, promotion_id, plan_digest, reason=reason.strip(), key=key)
    return done(request, links.request(promotion_id), "You rejected the request.")


@router.post(_PATH + "/withdraw")
def withdraw(ctx: Ctx, request: Request, who: Who, promotion_id: Id, key: FormKey, reason: FormText = "") -> Response:
    """Takes the request back."""
    withdraw_promotion(ctx, who.actor, promotion_id, reason=reason.strip(), key=key)
    return done(request, links.request(promotion_id), "Request withdrawn.")


@router.post(_PATH + "/refresh")
def refresh(ctx: Ctx, request: Request, who: Who, promotion_id: Id, key: FormKey) -> Response:
    """A new request with the plan as of now."""
    fresh = refresh_promotion(ctx, who.actor, promotion_id, key=key)
    return done(request, links.request(fresh.id), f"Request {fresh.id} replaces it, with the current plan.")


@router.post(_PATH + "/execute")
def execute(ctx: Ctx, request: Request, who: Who, promotion_id: Id, key: FormKey) -> Response:
    """Executes, or resumes, as far as it goes now; safe to repeat, so `key` is not needed."""
    with ctx.store.read() as view:
        visible_request(view, who.actor, promotion_id, Role.DATA_ENGINEER, "executing")
    execution = execute_promotion(ctx, who.actor, promotion_id)
    said = f"Not yet: {execution.waiting.why}." if execution.waiting else _stands(execution.promotion)
    kind = "warn" if execution.waiting else _kind(execution.promotion)
    return done(request, links.request(promotion_id), said, kind)


@router.post(_PATH + "/review")
def review_later(
    ctx: Ctx,
    request: Request,
    who: Who,
    promotion_id: Id,
    key: FormKey,
    plan_digest: FormDigest,
    verdict: Annotated[Verdict, Form()],
    reason: FormText = "",
) -> Response:
    """Records a review of an unreviewed release."""
    review_release(ctx, who.actor, promotion_id, plan_digest, verdict, reason=reason.strip(), key=key)
    return done(request, links.request(promotion_id), 'Review recorded; the release keeps the label "unreviewed".')


@router.post(_PATH + "/comments")
def comment(
    ctx: Ctx,
    request: Request,
    who: Who,
    promotion_id: Id,
    key: FormKey,
    body: Annotated[str, Form(pattern=r"^[^\x00]*$")] = "",
) -> Response:
    """Adds a remark."""
    # Browsers send each line's end as two characters.
    comment_promotion(ctx, who.actor, promotion_id, body.replace("\r\n", "\n"), key=key)
    return done(request, f"{links.request(promotion_id)}#comment", "Comment added.")


def _look(ctx: Context, request: Request, who: Visitor, promotion_id: int, wait: float) -> tuple[Promotion, Present]:
    """The request, and how it compares with the present while it is open."""
    with ctx.store.read() as view:
        promotion = visible_request(view, who.actor, promotion_id)
        head = view.log.head().sequence
    if not promotion.state.is_open:
        return promotion, Present()
    return promotion, parts_in(request).of(Comparisons).look(ctx, promotion, head, wait=wait)


def _spec_diff(view: View, promotion: Promotion) -> SpecDiffView | None:
    """The version against the one that it replaces; None where both are the same."""
    plan = promotion.plan
    before = view.pipelines.with_digest(promotion.pipeline_id, plan.replaces) if plan.replaces else None
    if plan.replaces and before is None:
        raise NotFound(f"the version that request {promotion.id} replaces is not in the store; restore a backup")
    after = view.pipelines.version(promotion.version_id)
    old, new = spec_of(before) if before else None, spec_of(after)
    return spec_diff_view(old, new, (code_texts(view, old), code_texts(view, new)))


def _moved(shown: Review) -> list[tuple[str, str, str]]:
    found = shown.present.comparison
    return [change_line(change) for change in found.changes] if found else []


def _stands(after: Promotion) -> str:
    match after.state:
        case State.REQUESTED:
            return "More approvals are needed."
        case State.APPROVED:
            return "It executes automatically as soon as it can."
        case State.DONE:
            return f"Version {after.plan.version} is active in {NAMES[after.target]}."
        case _:
            return f"The request is {after.state.value}{': ' if after.outcome else ''}{after.outcome}."


def _kind(after: Promotion) -> Kind:
    """An approval that ended the request as stale, or whose execution failed, is no success."""
    return "good" if after.state is State.DONE or after.state.is_open else "warn"
