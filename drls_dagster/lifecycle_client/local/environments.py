"""What is active where, in a store of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from drls_dagster.lifecycle_client.interface import Environments
from drls_dagster.lifecycle_client.local.naming import Names
from drls_dagster.lifecycle_client.local.session import Session
from drls_dagster.lifecycle_client.results import (
    Active,
    DriftInfo,
    HoldInfo,
    PolicyInfo,
    Request,
    SessionInfo,
    session_of,
)
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.environment import Environment, Role
from lifecycle.domain.policy import HoldKind, Policy, PolicyRevision
from lifecycle.domain.version import Deployment
from lifecycle.store.unit import View
from lifecycle.usecases.demote_version import demote_version
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.loaded import loaded_digests
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.rounds import Trouble
from lifecycle.usecases.parts.visible import sees, visible_troubles
from lifecycle.usecases.releases_then import approvers_of, tables_then
from lifecycle.usecases.retire_version import retire_version
from lifecycle.usecases.rollback_release import RollbackPlan, plan_rollback, rollback_release
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.settle_drift import settle_drift
from lifecycle.usecases.start_run import new_session


class LocalEnvironments(Environments):
    """Calls the use cases."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ctx = session.ctx

    def active(
        self,
        environment: Environment | None = None,
        *,
        pipeline: str | None = None,
        at: datetime | None = None,
        tables: bool = False,
    ) -> tuple[Active, ...]:
        actor = self._session.acting(TokenScope.READ)
        with self._ctx.store.read() as view:
            wanted = view.pipelines.named(pipeline) if pipeline else None
            if wanted is not None:
                require(view, actor, Role.VIEWER, target_of(view, wanted), "looking at a pipeline")
            names = Names(view)
            return tuple(
                names.active(one).model_copy(
                    update={
                        "approved_by": approvers_of(view, one),
                        "tables": tables_then(view, one, at) if tables else (),
                    }
                )
                for where in ([environment] if environment else Environment)
                for one in view.deployments.of(where, at)
                if (wanted is None or one.pipeline_id == wanted.id) and sees(view, actor, one.pipeline_id)
            )

    def loaded(self, environment: Environment) -> Mapping[str, str] | None:
        self._session.acting(TokenScope.READ)
        with self._ctx.store.read() as view:
            return loaded_digests(view, environment)

    def demote(self, name: str, number: int, *, reason: str, key: str | None = None) -> Active:
        actor = self._session.acting(TokenScope.WRITE)
        return self._shown(demote_version(self._ctx, actor, name, number, reason=reason, key=key))

    def retire(self, name: str, number: int, *, reason: str, consent: bool = False, key: str | None = None) -> Active:
        actor = self._session.acting(TokenScope.WRITE)
        return self._shown(retire_version(self._ctx, actor, name, number, reason=reason, consent=consent, key=key))

    def plan_rollback(self, name: str, *, data: bool = False) -> RollbackPlan:
        return plan_rollback(self._ctx, self._session.acting(TokenScope.READ), name, data=data)

    def rollback(
        self, name: str, *, reason: str, data: bool = False, consent: str | None = None, key: str | None = None
    ) -> Request:
        actor = self._session.acting(TokenScope.WRITE)
        done = rollback_release(self._ctx, actor, name, reason=reason, data=data, consent=consent, key=key)
        with self._ctx.store.read() as view:
            return Names(view).request(done, done.waiting)

    def holds(self) -> tuple[HoldInfo, ...]:
        self._session.acting(TokenScope.READ)
        with self._ctx.store.read() as view:
            return tuple(Names(view).hold(one) for one in view.policies.holds())

    def set_hold(
        self,
        kind: HoldKind,
        environment: Environment,
        pipeline: str | None = None,
        *,
        reason: str,
        key: str | None = None,
    ) -> HoldInfo:
        actor = self._session.acting(TokenScope.WRITE)
        hold = set_hold(self._ctx, actor, kind, environment, pipeline, reason=reason, key=key)
        with self._ctx.store.read() as view:
            return Names(view).hold(hold)

    def lift_hold(self, hold: int) -> HoldInfo:
        lifted = lift_hold(self._ctx, self._session.acting(TokenScope.WRITE), hold)
        with self._ctx.store.read() as view:
            return Names(view).hold(lifted)

    def refresh(self, name: str, environment: Environment) -> SessionInfo:
        return session_of(new_session(self._ctx, self._session.acting(TokenScope.WRITE), name, environment), name)

    def drifts(self) -> tuple[DriftInfo, ...]:
        actor = self._session.acting(TokenScope.READ)
        with self._ctx.store.read() as view:
            names = Names(view)
            return tuple(names.drift(one) for one in view.runs.open_drifts() if sees(view, actor, one.pipeline_id))

    def troubles(self) -> tuple[Trouble, ...]:
        actor = self._session.acting(TokenScope.READ)
        with self._ctx.store.read() as view:
            return visible_troubles(view, actor)

    def settle_drift(
        self, drift: int, how: Literal["adopt", "revert"], *, reason: str, key: str | None = None
    ) -> DriftInfo:
        settled = settle_drift(self._ctx, self._session.acting(TokenScope.WRITE), drift, how, reason=reason, key=key)
        with self._ctx.store.read() as view:
            return Names(view).drift(settled)

    def policies(self) -> tuple[PolicyInfo, ...]:
        self._session.acting(TokenScope.READ)
        with self._ctx.store.read() as view:
            return tuple(_policy(view, one) for one in view.policies.newest())

    def policy(self, environment: Environment, pipeline: str | None = None) -> PolicyInfo | None:
        self._session.acting(TokenScope.READ)
        with self._ctx.store.read() as view:
            pipeline_id = view.pipelines.named(pipeline).id if pipeline else None
            found = view.policies.revision(environment, pipeline_id)
            return None if found is None else _policy(view, found)

    def set_policy(
        self,
        environment: Environment,
        pipeline: str | None,
        body: Policy | None,
        *,
        if_revision: int | None = None,
        key: str | None = None,
    ) -> PolicyInfo:
        actor = self._session.acting(TokenScope.ADMIN)
        revision = set_policy(self._ctx, actor, environment, pipeline, body, if_revision=if_revision, key=key)
        with self._ctx.store.read() as view:
            return _policy(view, revision)

    def _shown(self, deployment: Deployment) -> Active:
        with self._ctx.store.read() as view:
            return Names(view).active(deployment)


def _policy(view: View, revision: PolicyRevision) -> PolicyInfo:
    names = Names(view)
    return PolicyInfo(
        environment=revision.environment,
        pipeline=None if revision.pipeline_id is None else names.pipeline(revision.pipeline_id),
        revision=revision.id,
        body=revision.body,
        set_by=names.person(revision.set_by),
        at=revision.at,
    )
