"""What is, and was, active where (L1)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence, Set
from datetime import datetime

from sqlalchemy import or_, select

from lifecycle.domain.environment import Environment
from lifecycle.domain.releases import Release
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
_LIVE = select(
    DeploymentRow.pipeline_id, DeploymentRow.environment, DeploymentRow.version_id, DeploymentRow.deployed_digest
).where(*_LIVING)
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

    def everything_active(self) -> dict[tuple[int, Environment], tuple[int, str]]:
        """By pipeline and environment what is active: the version's id and digest."""
        rows = self._tx.prepared_tuples(_LIVE)
        return {(row[0], Environment(row[1])): (row[2], row[3]) for row in rows}

    def of(self, environment: Environment, at: datetime | None = None) -> tuple[Deployment, ...]:
        """What is active in `environment` now, or was at `at`."""
        query = select(*_ALL).where(DeploymentRow.environment == environment.value)
        if at is None:
            query = query.where(DeploymentRow.ended_at.is_(None))
        else:
            query = query.where(
                DeploymentRow.started_at <= at,
                or_(DeploymentRow.ended_at.is_(None), DeploymentRow.ended_at > at),
            )
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
            .where(DeploymentRow.environment == environment.value)
            .order_by(PipelineRow.name)
        )
        if at is None:
            query = query.where(DeploymentRow.ended_at.is_(None))
        else:
            query = query.where(
                DeploymentRow.started_at <= at, or_(DeploymentRow.ended_at.is_(None), DeploymentRow.ended_at > at)
            )
        if pipelines is not None:
            query = query.where(PipelineRow.name.in_(pipelines))
        found = self._tx.many(Release, query)
        approvers = self._approvers({one.promotion_id for one in found if one.promotion_id is not None})
        return tuple(
            one.model_copy(update={"approvers": tuple(approvers.get(one.promotion_id or 0, ()))}) for one in found
        )

    def _approvers(self, promotion_ids: Set[int]) -> dict[int, list[str]]:
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
            raise Conflict(f"deployment {deployment.id} ended already; look again")
