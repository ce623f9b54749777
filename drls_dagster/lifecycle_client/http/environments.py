"""What is active where, on a server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from drls_dagster.lifecycle_client.http.session import HttpSession
from drls_dagster.lifecycle_client.interface import Environments
from drls_dagster.lifecycle_client.results import (
    Active,
    DriftInfo,
    HoldInfo,
    PolicyInfo,
    Request,
    SessionInfo,
    drift_of,
    request_of,
    session_of,
)
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Hold, HoldKind, Policy, PolicyRevision
from lifecycle.domain.promotion import Answered
from lifecycle.domain.releases import TableThen
from lifecycle.domain.run import Drift, Session
from lifecycle.domain.version import Deployment
from lifecycle.usecases.parts.rounds import Trouble
from lifecycle.usecases.rollback_release import RollbackPlan

_PRODUCTION = "/api/environments/production"


class HttpEnvironments(Environments):
    """Asks the server."""

    def __init__(self, session: HttpSession) -> None:
        self._session = session

    def active(
        self,
        environment: Environment | None = None,
        *,
        pipeline: str | None = None,
        at: datetime | None = None,
        tables: bool = False,
    ) -> tuple[Active, ...]:
        if pipeline is not None:
            self._session.get(f"/api/pipeline-defs/{pipeline}")
        asked = {"at": at and at.isoformat(), "tables": tables or None}
        found = self._session.get("/api/environments", **asked)["items"]
        return tuple(
            _active(Deployment.model_validate(one["deployment"]), one["pipeline"], one["version"]).model_copy(
                update={
                    "approved_by": tuple(one["approved_by"]),
                    "tables": tuple(TableThen.model_validate(table) for table in one["tables"]),
                }
            )
            for one in found
            if environment in (None, one["environment"]) and pipeline in (None, one["pipeline"])
        )

    def loaded(self, environment: Environment) -> Mapping[str, str] | None:
        return None

    def demote(self, name: str, number: int, *, reason: str, key: str | None = None) -> Active:
        return self._ended(name, number, "demote", {"reason": reason}, key)

    def retire(self, name: str, number: int, *, reason: str, consent: bool = False, key: str | None = None) -> Active:
        return self._ended(name, number, "retire", {"reason": reason, "consent": consent}, key)

    def plan_rollback(self, name: str, *, data: bool = False) -> RollbackPlan:
        body = {"pipeline": name, "data": data}
        return RollbackPlan.model_validate(self._session.call("POST", f"{_PRODUCTION}/rollback/plan", json=body).json())

    def rollback(
        self, name: str, *, reason: str, data: bool = False, consent: str | None = None, key: str | None = None
    ) -> Request:
        body = {"pipeline": name, "reason": reason, "data": data, "consent": consent}
        done = self._session.call("POST", f"{_PRODUCTION}/rollback", json=body, key=key).json()
        answered = Answered.model_validate(done)
        return request_of(answered, self._session.person, answered.waiting)

    def holds(self) -> tuple[HoldInfo, ...]:
        return tuple(self._hold(one["hold"], one["pipeline"]) for one in self._session.get("/api/holds")["items"])

    def set_hold(
        self,
        kind: HoldKind,
        environment: Environment,
        pipeline: str | None = None,
        *,
        reason: str,
        key: str | None = None,
    ) -> HoldInfo:
        path = f"/api/environments/{environment.value}/{kind.value}"
        body = {"reason": reason, "pipeline": pipeline}
        return self._hold(self._session.call("POST", path, json=body, key=key).json(), pipeline)

    def lift_hold(self, hold: int) -> HoldInfo:
        pipeline = next((one.pipeline for one in self.holds() if one.id == hold), None)
        return self._hold(self._session.call("DELETE", f"/api/holds/{hold}").json(), pipeline)

    def refresh(self, name: str, environment: Environment) -> SessionInfo:
        path = f"/api/environments/{environment.value}/refresh"
        asked = self._session.call("POST", path, json={"pipeline": name}).json()
        return session_of(Session.model_validate(asked), name)

    def drifts(self) -> tuple[DriftInfo, ...]:
        found = self._session.get("/api/drift")["items"]
        return tuple(self._drift(one) for one in found)

    def troubles(self) -> tuple[Trouble, ...]:
        return tuple(Trouble.model_validate(one) for one in self._session.get("/api/troubles")["items"])

    def settle_drift(
        self, drift: int, how: Literal["adopt", "revert"], *, reason: str, key: str | None = None
    ) -> DriftInfo:
        path = f"/api/drift/{drift}/{how}"
        return self._drift(self._session.call("POST", path, json={"reason": reason}, key=key).json())

    def policies(self) -> tuple[PolicyInfo, ...]:
        found = self._session.get("/api/policies")["items"]
        return tuple(self._policy(one["revision"], one["pipeline"]) for one in found)

    def policy(self, environment: Environment, pipeline: str | None = None) -> PolicyInfo | None:
        if pipeline is not None:
            self._session.get(f"/api/pipeline-defs/{pipeline}")
        scope = (environment, pipeline)
        return next((one for one in self.policies() if (one.environment, one.pipeline) == scope), None)

    def set_policy(
        self,
        environment: Environment,
        pipeline: str | None,
        body: Policy | None,
        *,
        if_revision: int | None = None,
        key: str | None = None,
    ) -> PolicyInfo:
        answer = self._session.call(
            "PUT" if body else "DELETE",
            f"/api/environments/{environment.value}/policy",
            json=body.model_dump(mode="json") if body else None,
            params={"pipeline": pipeline},
            key=key,
            if_match=None if if_revision is None else str(if_revision),
        )
        return self._policy(answer.json(), pipeline)

    def _ended(self, name: str, number: int, verb: str, body: dict[str, Any], key: str | None) -> Active:
        path = f"/api/pipeline-defs/{name}/versions/{number}/{verb}"
        ended = self._session.call("POST", path, json=body, key=key).json()
        return _active(Deployment.model_validate(ended), name, number)

    def _drift(self, found: dict[str, Any]) -> DriftInfo:
        return drift_of(Drift.model_validate(found["drift"]), found["pipeline"], self._session.person)

    def _hold(self, found: dict[str, Any], pipeline: str | None) -> HoldInfo:
        hold = Hold.model_validate(found)
        return HoldInfo(
            id=hold.id,
            kind=hold.kind,
            environment=hold.environment,
            pipeline=pipeline,
            reason=hold.reason,
            set_by=self._session.person(hold.set_by),
            set_at=hold.set_at,
            lifted_at=hold.lifted_at,
        )

    def _policy(self, found: dict[str, Any], pipeline: str | None) -> PolicyInfo:
        revision = PolicyRevision.model_validate(found)
        return PolicyInfo(
            environment=revision.environment,
            pipeline=pipeline,
            revision=revision.id,
            body=revision.body,
            set_by=self._session.person(revision.set_by),
            at=revision.at,
        )


def _active(deployment: Deployment, pipeline: str, version: int) -> Active:
    return Active(
        environment=deployment.environment,
        pipeline=pipeline,
        version=version,
        digest=deployment.deployed_digest,
        label=deployment.label,
        reason=deployment.reason,
        request=deployment.promotion_id,
        since=deployment.started_at,
        until=deployment.ended_at,
    )
