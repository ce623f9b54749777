"""Requests to promote: asking, looking, deciding, talking."""

from __future__ import annotations

from typing import Annotated

from lifecycle.domain.environment import Environment
from lifecycle.domain.planning import Planning
from lifecycle.domain.promotion import Answered, Promotion, State, Verdict
from lifecycle.domain.roles import Role
from lifecycle.errors import Invalid
from lifecycle.store.unit import View
from lifecycle.usecases.approve_promotion import approve_promotion
from lifecycle.usecases.break_glass import break_glass as break_the_glass
from lifecycle.usecases.comment_promotion import comment_promotion
from lifecycle.usecases.compare_data import DataComparison, compare_data
from lifecycle.usecases.compare_plan import Comparison, compare_plan, waiting_of
from lifecycle.usecases.execute_promotion import carry_on, execute_promotion
from lifecycle.usecases.newer_runs import runs_since
from lifecycle.usecases.parts.counting import approvals, counted, needs_quorum, said
from lifecycle.usecases.parts.deciding import policy_of
from lifecycle.usecases.parts.visible import visible_ids, visible_pipeline, visible_request
from lifecycle.usecases.pending import may_decide, pending_for
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.refresh_promotion import refresh_promotion
from lifecycle.usecases.reject_promotion import reject_promotion
from lifecycle.usecases.request_promotion import request_promotion
from lifecycle.usecases.review_release import review_release
from lifecycle.usecases.unreviewed import unreviewed_releases
from lifecycle.usecases.withdraw_promotion import withdraw_promotion
from lifecycle.verbs import inputs
from lifecycle.verbs.answers import (
    ApprovalRecord,
    CommentRecord,
    ExecutionRecord,
    Page,
    Remark,
    Request,
    RequestDetail,
    RequestRecord,
)
from lifecycle.verbs.inputs import Cursor, Digest, Id, IfRevision, InQuery, Key, Limit, Name, Number, Reason, Text
from lifecycle.verbs.verb import Call, answers, lists


@answers(Planning)
def plan(call: Call, name: Name, number: Number, target: Environment) -> Planning:
    """What promoting would be now, who may approve it, and what is in its way; changes nothing."""
    return plan_promotion(call.ctx, call.who, name, number, _target(target))


@answers(Request)
def request(
    call: Call,
    name: Name,
    number: Number,
    target: Environment,
    *,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> RequestRecord:
    """Asks for the promotion, with `if_plan` only while the plan has this digest; into QA it executes at once."""
    asked = request_promotion(
        call.ctx, call.who, name, number, _target(target), reason=reason, if_plan=if_plan, key=key
    )
    done = Answered.of(asked) if target.governed else carry_on(call.ctx, call.who, asked)
    return call.named(lambda names: names.request(done))


@answers(Request)
def break_glass(
    call: Call, name: Name, number: Number, target: Environment, *, reason: Reason, key: Key = None
) -> RequestRecord:
    """Deploys without approval in an emergency; labelled unreviewed (L7)."""
    done = break_the_glass(call.ctx, call.who, name, number, target, reason=reason, key=key)
    return call.named(lambda names: names.request(done))


@lists(Request)
def list_requests(
    call: Call,
    *,
    states: Annotated[tuple[State, ...], InQuery("state")] = (),
    target: Environment | None = None,
    pipeline: inputs.ShortText | None = None,
    before: Cursor = None,
    limit: Limit = 100,
) -> Page[RequestRecord]:
    """Requests, newest first; `before` (an id) pages on."""
    with call.read() as (view, names):
        pipeline_id = visible_pipeline(view, call.who, pipeline).id if pipeline else None
        only = visible_ids(view, call.who)
        every = view.promotions.list(states=states, target=target, pipeline_id=pipeline_id, before=before, limit=limit)
        seen = [names.request(one) for one in every if only is None or one.pipeline_id in only]
    return Page(items=seen, next=str(every[-1].id) if len(every) == limit else None)


@lists(Request)
def pending(call: Call) -> Page[RequestRecord]:
    """Exactly the requests that the caller may decide now: the badge and the list are one query."""
    with call.read() as (view, names):
        return Page(items=[names.request(one) for one in pending_for(view, call.who)])


@lists(Request)
def unreviewed(call: Call) -> Page[RequestRecord]:
    """Releases without an independent approval that nobody independent has reviewed yet, oldest first (L7)."""
    with call.read() as (view, names):
        return Page(items=[names.request(one) for one in unreviewed_releases(view, call.who)])


@answers(RequestDetail)
def show(call: Call, promotion_id: Id) -> ApprovalRecord:
    """A request with its plan, decisions and comments; the ETag is its revision."""
    with call.read() as (view, names):
        promotion = visible_request(view, call.who, promotion_id)
        return ApprovalRecord(
            request=names.request(promotion),
            quorum=policy_of(view, promotion).quorum if promotion.policy_id is not None else None,
            seats=_seats(view, promotion),
            waiting=waiting_of(view, promotion) if promotion.state is State.APPROVED else None,
            decisions=[names.said(one) for one in said(view, promotion)],
            comments=[names.comment(one) for one in view.promotions.comments(promotion_id)],
            may_approve=list(may_decide(view, promotion)),
            newer_runs=runs_since(view, promotion),
        )


@answers(Comparison)
def comparison(call: Call, promotion_id: Id) -> Comparison:
    """What moved since an open request was made: empty when execution would find everything as approved."""
    with call.read() as (view, _):
        promotion = visible_request(view, call.who, promotion_id)
    return compare_plan(call.ctx, promotion) if promotion.state.is_open else Comparison()


@answers(DataComparison)
def data(call: Call, promotion_id: Id, table: inputs.TableName, *, again: bool = False) -> DataComparison:
    """What the request changes in a table, or what its evidence says about that; `again` tries a failed one again."""
    return compare_data(call.ctx, call.who, promotion_id, table, again=again)


@answers(Request)
def approve(
    call: Call,
    promotion_id: Id,
    plan_digest: Digest,
    *,
    reason: Text = "",
    if_revision: IfRevision = None,
    key: Key = None,
) -> RequestRecord:
    """Approves the plan with the digest that the caller looked at; `waiting` says why it is not executed yet."""
    done = approve_promotion(
        call.ctx, call.who, promotion_id, plan_digest, reason=reason, if_revision=if_revision, key=key
    )
    return call.named(lambda names: names.request(done))


@answers(Request)
def reject(
    call: Call,
    promotion_id: Id,
    plan_digest: Digest,
    *,
    reason: Reason,
    if_revision: IfRevision = None,
    key: Key = None,
) -> RequestRecord:
    """Rejects the request; one rejection is enough."""
    done = reject_promotion(
        call.ctx, call.who, promotion_id, plan_digest, reason=reason, if_revision=if_revision, key=key
    )
    return call.named(lambda names: names.request(done))


@answers(Request)
def review(
    call: Call, promotion_id: Id, plan_digest: Digest, verdict: Verdict, *, reason: Reason, key: Key = None
) -> RequestRecord:
    """Reviews a release that went live without an independent approval; its label stays."""
    done = review_release(call.ctx, call.who, promotion_id, plan_digest, verdict, reason=reason, key=key)
    return call.named(lambda names: names.request(done))


@answers(Request)
def withdraw(call: Call, promotion_id: Id, *, reason: Text = "", key: Key = None) -> RequestRecord:
    """Withdraws the request."""
    done = withdraw_promotion(call.ctx, call.who, promotion_id, reason=reason, key=key)
    return call.named(lambda names: names.request(done))


@answers(Request)
def refresh(call: Call, promotion_id: Id, *, key: Key = None) -> RequestRecord:
    """A new request with a plan as of now; approvals are not carried over (L8)."""
    fresh = refresh_promotion(call.ctx, call.who, promotion_id, key=key)
    return call.named(lambda names: names.request(fresh))


@answers(Request)
def execute(call: Call, promotion_id: Id) -> ExecutionRecord:
    """Executes or resumes an approved request, as far as it goes now."""
    with call.read() as (view, _):
        visible_request(view, call.who, promotion_id, Role.DATA_ENGINEER, "executing")
    done = execute_promotion(call.ctx, call.who, promotion_id)
    return call.named(lambda names: ExecutionRecord(promotion=names.request(done.promotion), waiting=done.waiting))


@lists(Remark)
def comments(call: Call, promotion_id: Id) -> Page[CommentRecord]:
    """Comments, oldest first."""
    with call.read() as (view, names):
        visible_request(view, call.who, promotion_id)
        return Page(items=[names.comment(one) for one in view.promotions.comments(promotion_id)])


@answers(Remark)
def comment(call: Call, promotion_id: Id, body: Reason, *, key: Key = None) -> CommentRecord:
    """Adds a comment."""
    said = comment_promotion(call.ctx, call.who, promotion_id, body, key=key)
    return call.named(lambda names: names.comment(said))


def _seats(view: View, promotion: Promotion) -> list[str]:
    """Per alternative of the quorum, in words, how far the approvals that count fill it."""
    if promotion.policy_id is None or not needs_quorum(promotion):
        return []
    policy = policy_of(view, promotion)
    people = counted(approvals(view, promotion), own_work=policy.approvals == "solo")
    return [" and ".join(map(str, seats)) for seats in policy.parsed_quorum.seated(people)]


def _target(target: Environment) -> Environment:
    if target.before is None:
        raise Invalid("promote to QA, UAT or production; versions are saved in development")
    return target
