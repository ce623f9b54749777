"""Requests to promote in a store of one's own."""

from __future__ import annotations

from collections.abc import Sequence

from drls_dagster.lifecycle_client.interface import Promotions
from drls_dagster.lifecycle_client.local.naming import Names
from drls_dagster.lifecycle_client.local.session import Session
from drls_dagster.lifecycle_client.results import Remark, Request, RequestDetail, decided, remark
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.draft import Draft
from lifecycle.domain.environment import Environment, Role
from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Answered, Promotion, State, Verdict
from lifecycle.store.unit import View
from lifecycle.usecases.approve_promotion import approve_promotion
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.comment_promotion import comment_promotion
from lifecycle.usecases.compare_data import DataComparison, compare_data
from lifecycle.usecases.compare_plan import Comparison, compare_plan
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.newer_runs import runs_since
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.counting import said
from lifecycle.usecases.parts.deciding import policy_of
from lifecycle.usecases.parts.visible import sees
from lifecycle.usecases.pending import may_decide
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.refresh_promotion import refresh_promotion
from lifecycle.usecases.reject_promotion import reject_promotion
from lifecycle.usecases.request_promotion import request_promotion
from lifecycle.usecases.review_release import review_release
from lifecycle.usecases.unreviewed import unreviewed_releases
from lifecycle.usecases.withdraw_promotion import withdraw_promotion


class LocalPromotions(Promotions):
    """Calls the use cases."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ctx = session.ctx

    def plan(self, name: str, number: int, target: Environment) -> Draft:
        return plan_promotion(self._ctx, self._session.acting(TokenScope.READ), name, number, target)

    def request(
        self,
        name: str,
        number: int,
        target: Environment,
        *,
        reason: str = "",
        if_plan: str | None = None,
        key: str | None = None,
    ) -> Request:
        actor = self._session.acting(TokenScope.WRITE)
        return self._shown(
            request_promotion(self._ctx, actor, name, number, target, reason=reason, if_plan=if_plan, key=key)
        )

    def break_glass(
        self, name: str, number: int, target: Environment, *, reason: str, key: str | None = None
    ) -> Request:
        actor = self._session.acting(TokenScope.WRITE)
        return self._answered(break_glass(self._ctx, actor, name, number, target, reason=reason, key=key))

    def execute(self, request: int) -> Request:
        actor = self._session.acting(TokenScope.WRITE)
        with self._ctx.store.read() as view:
            self._visible(view, actor, view.promotions.get(request), Role.DATA_ENGINEER, "executing a promotion")
        done = execute_promotion(self._ctx, actor, request)
        return self._shown(done.promotion, done.waiting.why if done.waiting else "")

    def list(
        self,
        *,
        states: Sequence[State] = (),
        target: Environment | None = None,
        pipeline: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[Request, ...]:
        actor = self._session.acting(TokenScope.READ)
        with self._ctx.store.read() as view:
            pipeline_id = view.pipelines.named(pipeline).id if pipeline else None
            names = Names(view)
            found = view.promotions.list(
                states=states, target=target, pipeline_id=pipeline_id, before=before, limit=limit
            )
            return tuple(names.request(one) for one in found if sees(view, actor, one.pipeline_id))

    def show(self, request: int) -> RequestDetail:
        actor = self._session.acting(TokenScope.READ)
        with self._ctx.store.read() as view:
            promotion = view.promotions.get(request)
            self._visible(view, actor, promotion, Role.VIEWER, "looking at a request")
            names = Names(view)
            return RequestDetail(
                **names.request(promotion).model_dump(),
                plan=promotion.plan,
                quorum=policy_of(view, promotion).quorum if promotion.policy_id is not None else None,
                may_approve=tuple(may_decide(view, promotion)),
                decisions=tuple(decided(one, names.person) for one in said(view, promotion)),
                comments=tuple(remark(one, names.person) for one in view.promotions.comments(request)),
                newer_runs=runs_since(view, promotion),
            )

    def comparison(self, request: int) -> Comparison:
        actor = self._session.acting(TokenScope.READ)
        with self._ctx.store.read() as view:
            promotion = view.promotions.get(request)
            self._visible(view, actor, promotion, Role.VIEWER, "looking at a request")
        return compare_plan(self._ctx, promotion) if promotion.state.is_open else Comparison()

    def approve(self, request: int, plan_digest: str, *, reason: str = "", key: str | None = None) -> Request:
        actor = self._session.acting(TokenScope.APPROVE)
        return self._answered(approve_promotion(self._ctx, actor, request, plan_digest, reason=reason, key=key))

    def reject(self, request: int, plan_digest: str, *, reason: str, key: str | None = None) -> Request:
        actor = self._session.acting(TokenScope.APPROVE)
        return self._shown(reject_promotion(self._ctx, actor, request, plan_digest, reason=reason, key=key))

    def withdraw(self, request: int, *, reason: str = "", key: str | None = None) -> Request:
        actor = self._session.acting(TokenScope.WRITE)
        return self._shown(withdraw_promotion(self._ctx, actor, request, reason=reason, key=key))

    def refresh(self, request: int, *, key: str | None = None) -> Request:
        return self._shown(refresh_promotion(self._ctx, self._session.acting(TokenScope.WRITE), request, key=key))

    def unreviewed(self) -> tuple[Request, ...]:
        actor = self._session.acting(TokenScope.READ)
        with self._ctx.store.read() as view:
            names = Names(view)
            return tuple(names.request(one) for one in unreviewed_releases(view, actor))

    def review(
        self, request: int, plan_digest: str, verdict: Verdict, *, reason: str, key: str | None = None
    ) -> Request:
        actor = self._session.acting(TokenScope.APPROVE)
        return self._shown(review_release(self._ctx, actor, request, plan_digest, verdict, reason=reason, key=key))

    def comment(self, request: int, body: str, *, key: str | None = None) -> Remark:
        actor = self._session.acting(TokenScope.WRITE)
        return remark(comment_promotion(self._ctx, actor, request, body, key=key), lambda _: actor.name)

    def data(self, request: int, table: str, *, again: bool = False) -> DataComparison:
        return compare_data(self._ctx, self._session.acting(TokenScope.READ), request, table, again=again)

    def _visible(self, view: View, actor: Actor, promotion: Promotion, role: Role, doing: str) -> None:
        require(view, actor, role, target_of(view, view.pipelines.get(promotion.pipeline_id)), doing)

    def _answered(self, answered: Answered) -> Request:
        return self._shown(answered, answered.waiting)

    def _shown(self, promotion: Promotion, waiting: str = "") -> Request:
        with self._ctx.store.read() as view:
            return Names(view).request(promotion, waiting)
