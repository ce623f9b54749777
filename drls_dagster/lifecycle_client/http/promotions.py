"""Requests to promote on a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from drls_dagster.lifecycle_client.http.session import HttpSession
from drls_dagster.lifecycle_client.interface import Promotions
from drls_dagster.lifecycle_client.results import (
    Remark,
    Request,
    RequestDetail,
    decided,
    remark,
    request_of,
)
from lifecycle.domain.draft import Draft
from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import Answered, Comment, Promotion, Said, State, Verdict
from lifecycle.errors import NotFound
from lifecycle.usecases.compare_data import DataComparison
from lifecycle.usecases.compare_plan import Comparison


class HttpPromotions(Promotions):
    """Asks the server."""

    def __init__(self, session: HttpSession) -> None:
        self._session = session

    def plan(self, name: str, number: int, target: Environment) -> Draft:
        path = f"/api/pipeline-defs/{name}/versions/{number}/plan"
        return Draft.model_validate(self._session.call("POST", path, json={"target": target.value}).json())

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
        path = f"/api/pipeline-defs/{name}/versions/{number}/promote"
        return self._post(path, {"target": target.value, "reason": reason, "if_plan": if_plan}, key)

    def break_glass(
        self, name: str, number: int, target: Environment, *, reason: str, key: str | None = None
    ) -> Request:
        path = f"/api/pipeline-defs/{name}/versions/{number}/break-glass"
        return self._post(path, {"target": target.value, "reason": reason}, key)

    def execute(self, request: int) -> Request:
        done = self._session.call("POST", f"/api/approvals/{request}/execute").json()
        return self._named(done["promotion"], done["waiting"]["why"] if done["waiting"] else "")

    def list(
        self,
        *,
        states: Sequence[State] = (),
        target: Environment | None = None,
        pipeline: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[Request, ...]:
        found: list[Request] = []
        for state in states or (None,):
            page = self._session.get(
                "/api/approvals",
                state=state and state.value,
                target=target and target.value,
                pipeline=pipeline,
                before=before,
                limit=min(limit, 500),
            )
            found += [self._named(one) for one in page["items"]]
        return tuple(sorted(found, key=lambda one: -one.id)[:limit])

    def show(self, request: int) -> RequestDetail:
        found = self._session.get(f"/api/approvals/{request}")
        promotion = Promotion.model_validate(found["request"])
        person = self._session.person
        return RequestDetail(
            **request_of(promotion, person).model_dump(),
            plan=promotion.plan,
            quorum=self._quorum(promotion),
            may_approve=tuple(found["may_approve"]),
            decisions=tuple(decided(Said.model_validate(one), person) for one in found["decisions"]),
            comments=tuple(remark(Comment.model_validate(one), person) for one in found["comments"]),
            newer_runs=found["newer_runs"],
        )

    def comparison(self, request: int) -> Comparison:
        return Comparison.model_validate(self._session.get(f"/api/approvals/{request}/comparison"))

    def approve(self, request: int, plan_digest: str, *, reason: str = "", key: str | None = None) -> Request:
        body = {"plan_digest": plan_digest, "reason": reason}
        return self._post(f"/api/approvals/{request}/approve", body, key)

    def reject(self, request: int, plan_digest: str, *, reason: str, key: str | None = None) -> Request:
        body = {"plan_digest": plan_digest, "reason": reason}
        return self._post(f"/api/approvals/{request}/reject", body, key)

    def withdraw(self, request: int, *, reason: str = "", key: str | None = None) -> Request:
        return self._post(f"/api/approvals/{request}/withdraw", {"reason": reason}, key)

    def refresh(self, request: int, *, key: str | None = None) -> Request:
        return self._post(f"/api/approvals/{request}/refresh", None, key)

    def unreviewed(self) -> tuple[Request, ...]:
        return tuple(self._named(one) for one in self._session.get("/api/reviews")["items"])

    def review(
        self, request: int, plan_digest: str, verdict: Verdict, *, reason: str, key: str | None = None
    ) -> Request:
        body = {"plan_digest": plan_digest, "verdict": verdict.value, "reason": reason}
        return self._post(f"/api/approvals/{request}/review", body, key)

    def comment(self, request: int, body: str, *, key: str | None = None) -> Remark:
        path = f"/api/approvals/{request}/comments"
        said = self._session.call("POST", path, json={"body": body}, key=key).json()
        return remark(Comment.model_validate(said), self._session.person)

    def data(self, request: int, table: str, *, again: bool = False) -> DataComparison:
        path = f"/api/approvals/{request}/data/{quote(table, safe='')}"
        return DataComparison.model_validate(self._session.get(path, again=str(again).lower()))

    def _post(self, path: str, body: dict[str, Any] | None, key: str | None) -> Request:
        return self._named(self._session.call("POST", path, json=body, key=key).json())

    def _named(self, promotion: dict[str, Any], waiting: str = "") -> Request:
        answered = Answered.model_validate(promotion)
        return request_of(answered, self._session.person, waiting or answered.waiting)

    def _quorum(self, promotion: Promotion) -> str | None:
        """Of the policy that the request was made under, as long as it is the one in force."""
        if promotion.policy_id is None:
            return None
        try:
            path = f"/api/environments/{promotion.target.value}/policy"
            policy = self._session.get(path, pipeline=promotion.plan.pipeline)
        except NotFound:
            return None
        return policy["body"]["quorum"] if policy["id"] == promotion.policy_id else None
