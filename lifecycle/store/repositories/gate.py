"""The gate's facts in one statement, built once: the gate is asked at every step of every run."""

from __future__ import annotations

from sqlalchemy import BindParameter, and_, bindparam, or_, select
from sqlalchemy.orm import aliased

from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import GateFacts
from lifecycle.domain.policy import HoldKind
from lifecycle.store.tables import AdmissionRow, DeploymentRow, HoldRow, PipelineRow, VersionRow
from lifecycle.store.tx import Tx

_ACTIVE = aliased(VersionRow)
_NAME: BindParameter[str] = bindparam("name")
_DIGEST: BindParameter[str] = bindparam("digest")
_ENVIRONMENT: BindParameter[str] = bindparam("environment")
_RUN: BindParameter[str] = bindparam("run_id")
_FACTS = (
    select(
        PipelineRow.deleted_at.is_not(None).label("deleted"),
        VersionRow.id.label("version_id"),
        VersionRow.number.label("number"),
        VersionRow.spec.label("spec"),
        DeploymentRow.version_id.label("active_id"),
        DeploymentRow.label.label("label"),
        _ACTIVE.number.label("active_number"),
        HoldRow.reason.label("stopped"),
        AdmissionRow.state.label("admission"),
        AdmissionRow.why.label("why"),
    )
    .select_from(PipelineRow)
    .outerjoin(VersionRow, and_(VersionRow.pipeline_id == PipelineRow.id, VersionRow.digest == _DIGEST))
    .outerjoin(
        DeploymentRow,
        and_(
            DeploymentRow.pipeline_id == PipelineRow.id,
            DeploymentRow.environment == _ENVIRONMENT,
            DeploymentRow.ended_at.is_(None),
        ),
    )
    .outerjoin(_ACTIVE, _ACTIVE.id == DeploymentRow.version_id)
    .outerjoin(
        HoldRow,
        and_(
            HoldRow.kind == HoldKind.STOP.value,
            HoldRow.environment == _ENVIRONMENT,
            HoldRow.lifted_at.is_(None),
            or_(HoldRow.pipeline_id.is_(None), HoldRow.pipeline_id == PipelineRow.id),
        ),
    )
    .outerjoin(AdmissionRow, and_(AdmissionRow.pipeline_id == PipelineRow.id, AdmissionRow.run_id == _RUN))
    .where(PipelineRow.name == _NAME)
    .limit(1)
)


class Gate:
    """What the store says about a version in an environment, and about a run of it."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def facts(self, name: str, digest: str, environment: Environment, run_id: str | None) -> GateFacts | None:
        """None when there is no pipeline of this name."""
        return self._tx.prepared(
            GateFacts, _FACTS, name=name, digest=digest, environment=environment.value, run_id=run_id or ""
        )
