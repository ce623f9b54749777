"""What is, and was, active where (L1)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence, Set
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select

from lifecycle.domain.environment import Environment
from lifecycle.domain.releases import Active, Release
from lifecycle.domain.version import Deployment, Label, Version
from lifecycle.errors import Conflict
from lifecycle.store.tables import DecisionRow, DeploymentRow, PipelineRow, VersionRow
from lifecycle.store.tables_people import PersonRow
from lifecycle.store.tx import Tx, by, changing

_ALL = tuple(DeploymentRow.__table__.columns)
_RELEASE = (
    PipelineRow.name.label("pipeline"), VersionRow.number, VersionRow.digest, VersionRow.spec,
    DeploymentRow.environment, DeploymentRow.label, DeploymentRow.started_at.label("since"),
    DeploymentRow.promotion_id, PersonRow.name.label("author"),
)  # fmt: skip
_LIVING = (DeploymentRow.ended_at.is_(None),)
_ACTIVE = by(DeploymentRow, "pipeline_id", "environment", where=_LIVING)
_EVERYWHERE = by(DeploymentRow, "pipeline_id", where=_LIVING)
_LIVE = select(DeploymentRow.pipeline_id, DeploymentRow.environment, DeploymentRow.version_id).where(
    DeploymentRow.environment.in_(bindparam("environments", expanding=True)), *_LIVING
)
_GOVERNED = select(DeploymentRow.pipeline_id, DeploymentRow.deployed_digest).where(
    DeploymentRow.environment.in_([one.value for one in Environment if one.governed]), *_LIVING
)
_END = changing(DeploymentRow, "id", where=_LIVING, sets=("ended_at", "ended_reason"))
_HISTORY = by(DeploymentRow, "pipeline_id", order=(DeploymentRow.id,))
_HISTORY_IN = by(DeploymentRow, "pipeline_id", "environment", order=(DeploymentRow.id,))


class Deployments:
    """The truth about (environment, pipeline) → version, now and at any past time."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def active(self, pipeline_id: int, environment: Environment) -> Deployment | None:
        return self._tx.prepared(Deployment, _ACTIVE, pipeline_id=pipeline_id, environment=environment.value)

    def active_everywhere(self, pipeline_id: int) -> tuple[Deployment, ...]:
        return self._tx.prepared_many(Deployment, _EVERYWHERE, pipeline_id=pipeline_id)

    def active_in(self, environments: Iterable[Environment]) -> dict[tuple[int, str], int]:
        """By pipeline and environment the version that is active, of all pipelines in these environments."""
        rows = self._tx.prepared_tuples(_LIVE, environments=sorted(one.value for one in environments))
        return {(pipeline_id, environment): version_id for pipeline_id, environment, version_id in rows}

    def of(
        self, environment: Environment, at: datetime | None = None, pipeline_id: int | None = None
    ) -> tuple[Deployment, ...]:
        """What is active in `environment` now, or was at `at`; of one pipeline, or of all."""
        key = ("deployments", environment, pipeline_id)
        return self._tx.once_of(at, key, lambda: self._of(environment, at, pipeline_id))

    def _of(self, environment: Environment, at: datetime | None, pipeline_id: int | None) -> tuple[Deployment, ...]:
        query = select(*_ALL).where(DeploymentRow.environment == environment.value, _then(at))
        if pipeline_id is not None:
            query = query.where(DeploymentRow.pipeline_id == pipeline_id)
        return self._tx.many(Deployment, query.order_by(DeploymentRow.pipeline_id, DeploymentRow.id))

    def versions_naming(self, names: Iterable[str], environment: Environment) -> tuple[Version, ...]:
        """Versions active in `environment` whose spec has one of these texts somewhere: read it to see where."""
        # The spec is canonical JSON, so a text in it has one way to be written.
        texts = [json.dumps(name, ensure_ascii=False) for name in names]
        if not texts:
            return ()
        query = (
            select(*VersionRow.__table__.columns)
            .join(DeploymentRow, DeploymentRow.version_id == VersionRow.id)
            .where(DeploymentRow.environment == environment.value, DeploymentRow.ended_at.is_(None))
            .where(or_(*(VersionRow.spec.contains(text, autoescape=True) for text in texts)))
        )
        return self._tx.many(Version, query.order_by(VersionRow.id))

    def releases(
        self, environment: Environment, *, pipelines: Sequence[str] | None = None, at: datetime | None = None
    ) -> tuple[Release, ...]:
        """What is (or at `at` was) active in `environment`, with its spec and who approved it, by pipeline name."""
        query = (
            select(*_RELEASE)
            .join(PipelineRow, PipelineRow.id == DeploymentRow.pipeline_id)
            .join(VersionRow, VersionRow.id == DeploymentRow.version_id)
            .outerjoin(PersonRow, PersonRow.id == VersionRow.author)
            .where(DeploymentRow.environment == environment.value, _then(at))
            .order_by(PipelineRow.name)
        )
        if pipelines is not None:
            query = query.where(PipelineRow.name.in_(pipelines))
        found = self._tx.many(Release, query)
        approvers = self.approvers({one.promotion_id for one in found if one.promotion_id is not None})
        return tuple(
            one.model_copy(update={"approvers": tuple(approvers.get(one.promotion_id or 0, ()))}) for one in found
        )

    def approvers(self, promotion_ids: Set[int]) -> dict[int, list[str]]:
        """By request: the names of those who approved it, in the order in which they did."""
        query = (
            select(DecisionRow.promotion_id, PersonRow.name)
            .join(PersonRow, PersonRow.id == DecisionRow.person)
            .where(DecisionRow.promotion_id.in_(promotion_ids), DecisionRow.verdict == "approve")
            .order_by(DecisionRow.id)
        )
        found: dict[int, list[str]] = {}
        for promotion_id, name in self._tx.tuples(query) if promotion_ids else ():
            found.setdefault(promotion_id, []).append(name)
        return found

    def page(
        self,
        environment: Environment,
        *,
        at: datetime | None = None,
        only: Collection[int] | None = None,
        like: str = "",
        after: str = "",
        limit: int = 100,
    ) -> tuple[Active, ...]:
        """What is (or at `at` was) active in `environment`, by pipeline name; `after` (a name) pages on.

        `only`: of these pipelines; `like`: of those whose name has this text.
        """
        query = _named(only).where(DeploymentRow.environment == environment.value, PipelineRow.name > after, _then(at))
        if like:
            query = query.where(PipelineRow.name.contains(like, autoescape=True))
        return self._actives(query.order_by(PipelineRow.name).limit(limit))

    def newest(
        self, environment: Environment, *, only: Collection[int] | None = None, limit: int = 5
    ) -> tuple[Active, ...]:
        """What became active last, and still is, newest first."""
        query = _named(only).where(DeploymentRow.environment == environment.value, DeploymentRow.ended_at.is_(None))
        return self._actives(query.order_by(DeploymentRow.id.desc()).limit(limit))

    def _actives(self, query: Select[*tuple[Any, ...]]) -> tuple[Active, ...]:
        names = [column.key for column in _ALL]
        return tuple(
            Active(
                deployment=Deployment.model_validate(dict(zip(names, row, strict=False))),
                pipeline=row[-3],
                number=row[-2],
                by=row[-1],
            )
            for row in self._tx.tuples(query)
        )

    def counts(
        self, *, at: datetime | None = None, only: Collection[int] | None = None
    ) -> dict[tuple[Environment, Label], int]:
        """How many versions are (or at `at` were) active, by environment and label."""
        query = select(DeploymentRow.environment, DeploymentRow.label, func.count()).where(_then(at))
        if only is not None:
            query = query.where(DeploymentRow.pipeline_id.in_(list(only)))
        found = self._tx.tuples(query.group_by(DeploymentRow.environment, DeploymentRow.label))
        return {(Environment(environment), Label(label)): number for environment, label, number in found}

    def governed_digests(self) -> dict[int, list[str]]:
        """By pipeline: the digests that are active in UAT and production."""
        found: dict[int, list[str]] = {}
        for pipeline_id, digest in self._tx.prepared_tuples(_GOVERNED):
            found.setdefault(pipeline_id, []).append(digest)
        return found

    def history(self, pipeline_id: int, environment: Environment | None = None) -> tuple[Deployment, ...]:
        """Every deployment of a pipeline, oldest first."""
        if environment is None:
            return self._tx.prepared_many(Deployment, _HISTORY, pipeline_id=pipeline_id)
        return self._tx.prepared_many(Deployment, _HISTORY_IN, pipeline_id=pipeline_id, environment=environment.value)

    def labelled(self, label: Label) -> tuple[Deployment, ...]:
        """Everything that is, or was, deployed with `label`, oldest first."""
        query = select(*_ALL).where(DeploymentRow.label == label.value)
        return self._tx.many(Deployment, query.order_by(DeploymentRow.id))

    def start(
        self,
        environment: Environment,
        pipeline_id: int,
        version_id: int,
        digest: str,
        *,
        reason: str,
        label: Label,
        by: int | None,
        promotion_id: int | None = None,
    ) -> Deployment:
        """Makes a version active where none is; `end` the one before first."""
        self._tx.insert(
            DeploymentRow,
            environment=environment.value,
            pipeline_id=pipeline_id,
            version_id=version_id,
            deployed_digest=digest,
            reason=reason,
            label=label.value,
            promotion_id=promotion_id,
            started_at=self._tx.now,
            started_by=by,
        )
        found = self.active(pipeline_id, environment)
        assert found is not None  # noqa: S101 (inserted above)
        return found

    def end(self, deployment: Deployment, reason: str) -> None:
        """Ends an active deployment. Raises Conflict when it ended already."""
        changed = self._tx.change(_END, of_id=deployment.id, set_ended_at=self._tx.now, set_ended_reason=reason)
        if not changed:
            raise Conflict(f"deployment {deployment.id} has already ended; reload and try again")


def _named(only: Collection[int] | None) -> Select[*tuple[Any, ...]]:
    query = (
        select(*_ALL, PipelineRow.name, VersionRow.number, PersonRow.name)
        .join(PipelineRow, PipelineRow.id == DeploymentRow.pipeline_id)
        .join(VersionRow, VersionRow.id == DeploymentRow.version_id)
        .outerjoin(PersonRow, PersonRow.id == DeploymentRow.started_by)
    )
    return query if only is None else query.where(DeploymentRow.pipeline_id.in_(list(only)))


def _then(at: datetime | None) -> ColumnElement[bool]:
    """Active now, or at `at`."""
    if at is None:
        return DeploymentRow.ended_at.is_(None)
    return and_(DeploymentRow.started_at <= at, or_(DeploymentRow.ended_at.is_(None), DeploymentRow.ended_at > at))
