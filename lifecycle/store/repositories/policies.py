"""Policies with their revisions, and holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, func, or_, select, update

from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Hold, HoldKind, Policy, PolicyRevision
from lifecycle.errors import Conflict, NotFound
from lifecycle.store.tables import HoldRow, PolicyRow
from lifecycle.store.tx import Tx, by

_ALL = tuple(PolicyRow.__table__.columns)
_LAST = (PolicyRow.id.desc(),)
_OF_ALL = by(PolicyRow, "environment", where=(PolicyRow.pipeline_id.is_(None),), order=_LAST, limit=1)
_OF_ONE = by(PolicyRow, "environment", "pipeline_id", order=_LAST, limit=1)
_BY_ID = by(PolicyRow, "id")
_SOME = by(PolicyRow, where=(PolicyRow.id.in_(bindparam("ids", expanding=True)),))
_HOLDING = by(
    HoldRow,
    "kind",
    "environment",
    where=(
        HoldRow.lifted_at.is_(None),
        or_(HoldRow.pipeline_id.is_(None), HoldRow.pipeline_id == bindparam("pipeline_id")),
    ),
    order=(HoldRow.id,),
    limit=1,
)


class Policies:
    """The newest revision counts; a pipeline's own goes before the environment's."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def add(
        self, environment: Environment, pipeline_id: int | None, body: Policy | None, set_by: int | None
    ) -> PolicyRevision:
        key = self._tx.insert(
            PolicyRow,
            environment=environment.value,
            pipeline_id=pipeline_id,
            body=None if body is None else body.model_dump(mode="json"),
            set_by=set_by,
            at=self._tx.now,
        )
        return PolicyRevision(
            id=key,
            environment=environment,
            pipeline_id=pipeline_id,
            body=body,
            set_by=set_by,
            at=self._tx.now,
        )

    def revision(self, environment: Environment, pipeline_id: int | None) -> PolicyRevision | None:
        """The newest revision set for exactly this scope."""
        if pipeline_id is None:
            return self._tx.prepared(PolicyRevision, _OF_ALL, environment=environment.value)
        return self._tx.prepared(PolicyRevision, _OF_ONE, environment=environment.value, pipeline_id=pipeline_id)

    def get(self, revision: int) -> PolicyRevision | None:
        """One revision, in force or not."""
        return self._tx.prepared(PolicyRevision, _BY_ID, id=revision)

    def some(self, revisions: Iterable[int]) -> dict[int, PolicyRevision]:
        """Revisions by their number, in force or not."""
        found = self._tx.prepared_many(PolicyRevision, _SOME, ids=sorted(revisions))
        return {one.id: one for one in found}

    def newest(self) -> tuple[PolicyRevision, ...]:
        """The newest revision of every scope that ever had one."""
        newest = select(func.max(PolicyRow.id)).group_by(PolicyRow.environment, PolicyRow.pipeline_id)
        order = (PolicyRow.environment.desc(), PolicyRow.pipeline_id.nulls_first())
        return self._tx.many(PolicyRevision, select(*_ALL).where(PolicyRow.id.in_(newest)).order_by(*order))

    def in_force(self, environment: Environment, pipeline_id: int) -> PolicyRevision | None:
        """What counts for a pipeline in an environment; None means no (L7)."""
        own = self.revision(environment, pipeline_id)
        if own is not None and own.body is not None:
            return own
        general = self.revision(environment, None)
        return general if general is not None and general.body is not None else None

    def history(self, environment: Environment, pipeline_id: int | None = None) -> tuple[PolicyRevision, ...]:
        own = PolicyRow.pipeline_id.is_(None) if pipeline_id is None else PolicyRow.pipeline_id == pipeline_id
        query = select(*_ALL).where(PolicyRow.environment == environment.value, own)
        return self._tx.many(PolicyRevision, query.order_by(PolicyRow.id))

    def add_hold(
        self, kind: HoldKind, environment: Environment, pipeline_id: int | None, reason: str, by: int | None
    ) -> Hold:
        key = self._tx.insert(
            HoldRow,
            kind=kind.value,
            environment=environment.value,
            pipeline_id=pipeline_id,
            reason=reason,
            set_by=by,
            set_at=self._tx.now,
        )
        return self.hold(key)

    def hold(self, hold_id: int) -> Hold:
        found = self._tx.one(Hold, select(*HoldRow.__table__.columns).where(HoldRow.id == hold_id))
        if found is None:
            raise NotFound(f"there is no freeze or stop {hold_id}")
        return found

    def holds(self, environment: Environment | None = None, at: datetime | None = None) -> tuple[Hold, ...]:
        """Everything that is not lifted, or was in force at `at`."""
        if at is None:
            return self._tx.once(("holds", environment), lambda: self._holds(environment, None), rows=10)
        return self._holds(environment, at)

    def _holds(self, environment: Environment | None, at: datetime | None) -> tuple[Hold, ...]:
        query = select(*HoldRow.__table__.columns)
        if at is None:
            query = query.where(HoldRow.lifted_at.is_(None))
        else:
            query = query.where(HoldRow.set_at <= at, or_(HoldRow.lifted_at.is_(None), HoldRow.lifted_at > at))
        if environment is not None:
            query = query.where(HoldRow.environment == environment.value)
        return self._tx.many(Hold, query.order_by(HoldRow.id))

    def holding(self, kind: HoldKind, environment: Environment, pipeline_id: int) -> Hold | None:
        """A hold that covers this pipeline in this environment."""
        return self._tx.prepared(
            Hold, _HOLDING, kind=kind.value, environment=environment.value, pipeline_id=pipeline_id
        )

    def lift(self, hold: Hold, by: int | None) -> None:
        changed = self._tx.update(
            update(HoldRow)
            .where(HoldRow.id == hold.id, HoldRow.lifted_at.is_(None))
            .values(lifted_at=self._tx.now, lifted_by=by)
        )
        if not changed:
            raise Conflict(f"{hold.kind.value} {hold.id} has already been lifted")
