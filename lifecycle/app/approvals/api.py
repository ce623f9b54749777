"""Requests to promote: looking, deciding, talking."""

from __future__ import annotations

from fastapi import APIRouter, Response

from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.rest.guard import Who
from lifecycle.app.kit.rest.models import (
    ApprovalDetail,
    Cursor,
    Decide,
    Deny,
    Id,
    IdempotencyKey,
    IfMatch,
    Limit,
    NewComment,
    Page,
    QueryText,
    Review,
    TableName,
    Withdraw,
)
from lifecycle.domain.environment import Environment, Role
from lifecycle.domain.promotion import Answered, Comment, Promotion, State
from lifecycle.errors import Invalid
from lifecycle.usecases.approve_promotion import approve_promotion
from lifecycle.usecases.comment_promotion import comment_promotion
from lifecycle.usecases.compare_data import DataComparison, compare_data
from lifecycle.usecases.compare_plan import Comparison, compare_plan
from lifecycle.usecases.execute_promotion import Execution, execute_promotion
from lifecycle.usecases.newer_runs import runs_since
from lifecycle.usecases.parts.counting import said
from lifecycle.usecases.parts.visible import sees, sees_everything, visible_request
from lifecycle.usecases.pending import may_decide, pending_for
from lifecycle.usecases.refresh_promotion import refresh_promotion
from lifecycle.usecases.reject_promotion import reject_promotion
from lifecycle.usecases.review_release import review_release
from lifecycle.usecases.unreviewed import unreviewed_releases
from lifecycle.usecases.withdraw_promotion import withdraw_promotion

router = APIRouter(prefix="/api", tags=["approvals"])


@router.get("/approvals")
def list_approvals(
    ctx: Ctx,
    who: Who,
    state: State | None = None,
    target: Environment | None = None,
    pipeline: QueryText | None = None,
    before: Cursor = None,
    limit: Limit = 100,
) -> Page[Promotion]:
    """Requests, newest first."""
    with ctx.store.read() as view:
        pipeline_id = view.pipelines.named(pipeline).id if pipeline else None
        every = view.promotions.list(
            states=[state] if state else [],
            target=target,
            pipeline_id=pipeline_id,
            before=before,
            limit=limit,
        )
        everything = sees_everything(view, who)
        found = [one for one in every if everything or sees(view, who, one.pipeline_id)]
    return Page(items=found, next=str(every[-1].id) if len(every) == limit else None)


@router.get("/notifications/pending-approvals")
def pending_approvals(ctx: Ctx, who: Who) -> Page[Promotion]:
    """Exactly the requests that the caller may decide now: the badge and the list are one query."""
    with ctx.store.read() as view:
        return Page(items=list(pending_for(view, who)))


@router.get("/reviews")
def pending_reviews(ctx: Ctx, who: Who) -> Page[Promotion]:
    """Releases without an independent approval that nobody independent has reviewed yet, oldest first."""
    with ctx.store.read() as view:
        return Page(items=list(unreviewed_releases(view, who)))


@router.get("/approvals/{promotion_id}")
def get_approval(ctx: Ctx, who: Who, promotion_id: Id, response: Response) -> ApprovalDetail:
    """A request with its plan, decisions and comments; the ETag is its revision."""
    with ctx.store.read() as view:
        promotion = visible_request(view, who, promotion_id)
        detail = ApprovalDetail(
            request=promotion,
            decisions=list(said(view, promotion)),
            comments=list(view.promotions.comments(promotion_id)),
            may_approve=list(may_decide(view, promotion)),
            newer_runs=runs_since(view, promotion),
        )
    response.headers["ETag"] = f'"{promotion.revision}"'
    return detail


@router.get("/approvals/{promotion_id}/comparison")
def get_comparison(ctx: Ctx, who: Who, promotion_id: Id) -> Comparison:
    """What moved since an open request was made: empty when execution would find everything as approved."""
    with ctx.store.read() as view:
        promotion = visible_request(view, who, promotion_id)
    return compare_plan(ctx, promotion) if promotion.state.is_open else Comparison()


@router.post("/approvals/{promotion_id}/approve")
def approve(
    ctx: Ctx,
    who: Who,
    promotion_id: Id,
    body: Decide,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Answered:
    """Approves the plan with the digest that the caller looked at; `waiting` says why it is not executed yet."""
    return approve_promotion(
        ctx,
        who,
        promotion_id,
        body.plan_digest,
        reason=body.reason,
        if_revision=_revision(if_match),
        key=idempotency_key,
    )


@router.post("/approvals/{promotion_id}/reject")
def reject(
    ctx: Ctx,
    who: Who,
    promotion_id: Id,
    body: Deny,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Promotion:
    """Rejects the request; one denial blocks."""
    return reject_promotion(
        ctx,
        who,
        promotion_id,
        body.plan_digest,
        reason=body.reason,
        if_revision=_revision(if_match),
        key=idempotency_key,
    )


@router.post("/approvals/{promotion_id}/review")
def review(ctx: Ctx, who: Who, promotion_id: Id, body: Review, idempotency_key: IdempotencyKey = None) -> Promotion:
    """Says afterwards what to think of an unreviewed release."""
    return review_release(
        ctx, who, promotion_id, body.plan_digest, body.verdict, reason=body.reason, key=idempotency_key
    )


@router.post("/approvals/{promotion_id}/withdraw")
def withdraw(ctx: Ctx, who: Who, promotion_id: Id, body: Withdraw, idempotency_key: IdempotencyKey = None) -> Promotion:
    """Takes the request back."""
    return withdraw_promotion(ctx, who, promotion_id, reason=body.reason, key=idempotency_key)


@router.post("/approvals/{promotion_id}/refresh", status_code=201)
def refresh(ctx: Ctx, who: Who, promotion_id: Id, idempotency_key: IdempotencyKey = None) -> Promotion:
    """A new request with a plan as of now; approvals are not carried over."""
    return refresh_promotion(ctx, who, promotion_id, key=idempotency_key)


@router.post("/approvals/{promotion_id}/execute")
def execute(ctx: Ctx, who: Who, promotion_id: Id) -> Execution:
    """Executes or resumes an approved request, as far as it goes now."""
    with ctx.store.read() as view:
        visible_request(view, who, promotion_id, Role.DATA_ENGINEER, "executing")
    return execute_promotion(ctx, who, promotion_id)


@router.get(
    "/approvals/{promotion_id}/data/{table}",
    responses={202: {"model": DataComparison, "description": "Being computed: ask again after Retry-After seconds"}},
)
def get_data(
    ctx: Ctx, who: Who, promotion_id: Id, table: TableName, response: Response, again: bool = False
) -> DataComparison:
    """What the request changes in a table, or what its evidence says about that; `again` tries a failed one again."""
    found = compare_data(ctx, who, promotion_id, table, again=again)
    if found.progress is not None:
        response.status_code = 202
        response.headers["Retry-After"] = "1"
    return found


@router.get("/approvals/{promotion_id}/comments")
def list_comments(ctx: Ctx, who: Who, promotion_id: Id) -> Page[Comment]:
    """Remarks, oldest first."""
    with ctx.store.read() as view:
        visible_request(view, who, promotion_id)
        return Page(items=list(view.promotions.comments(promotion_id)))


@router.post("/approvals/{promotion_id}/comments", status_code=201)
def comment(ctx: Ctx, who: Who, promotion_id: Id, body: NewComment, idempotency_key: IdempotencyKey = None) -> Comment:
    """Adds a remark."""
    return comment_promotion(ctx, who, promotion_id, body.body, key=idempotency_key)


def _revision(if_match: str | None) -> int | None:
    if if_match is None:
        return None
    try:
        return int(if_match.strip('"'))
    except ValueError:
        raise Invalid('If-Match is the ETag of the request that you looked at, for example "3"') from None
