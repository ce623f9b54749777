"""Many pipelines at once: what lists and boards show, with as few statements for a thousand as for one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BindParameter, bindparam, func, or_, select
from sqlalchemy.orm import aliased

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.promotion import State
from lifecycle.domain.run import UNSETTLED, AdmissionState, Outcome
from lifecycle.domain.version import Label
from lifecycle.store.tables import (
    AdmissionRow,
    DeploymentRow,
    DriftRow,
    PipelineRow,
    PromotionRow,
    ReceiptRow,
    SinkTableRow,
    VersionRow,
)
from lifecycle.store.tables_people import PersonRow
from lifecycle.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Head:
    """A pipeline that is not deleted, with its newest version. Plain: a list begins with all of them."""

    id: int
    name: str
    number: int
    digest: str


class Live(Frozen):
    """A version that is active in an environment."""

    pipeline_id: int
    environment: Environment
    number: int
    digest: str
    label: Label
    since: datetime
    promotion_id: int | None


class RunSummary(Frozen):
    """A run as its admission and its receipts tell it: it published `published` of the `tables` it may write.

    `outcome` is what the orchestrator said of it, None where that is not known (yet).
    """

    id: int
    pipeline_id: int
    environment: Environment
    run_id: str
    number: int
    state: AdmissionState
    admitted_at: datetime
    ended_at: datetime | None
    why: str
    outcome: Outcome | None
    tables: int
    published: int


class Asked(Frozen):
    """A request that is not over."""

    id: int
    pipeline_id: int
    target: Environment
    state: State
    number: int
    expires_at: datetime


_UNFINISHED = (State.REQUESTED.value, State.APPROVED.value, State.EXECUTING.value, State.FAILED.value)
_OTHER = aliased(VersionRow)
_NEWEST = (
    select(func.max(_OTHER.number)).where(_OTHER.pipeline_id == PipelineRow.id).correlate(PipelineRow).scalar_subquery()
)
_HEADS = (
    select(PipelineRow.id, PipelineRow.name, VersionRow.number, VersionRow.digest)
    .join(VersionRow, VersionRow.pipeline_id == PipelineRow.id)
    .where(PipelineRow.deleted_at.is_(None), VersionRow.number == _NEWEST)
    .order_by(PipelineRow.name)
)
_SAVED = (
    select(VersionRow.digest, VersionRow.created_at, PersonRow.name)
    .outerjoin(PersonRow, PersonRow.id == VersionRow.author)
    .where(VersionRow.digest.in_(bindparam("digests", expanding=True)))
)
_ACTIVE_IN = select(DeploymentRow.pipeline_id).where(
    DeploymentRow.ended_at.is_(None), DeploymentRow.environment == bindparam("environment")
)
_LIVE = (
    select(
        DeploymentRow.pipeline_id,
        DeploymentRow.environment,
        VersionRow.number,
        VersionRow.digest,
        DeploymentRow.label,
        DeploymentRow.started_at.label("since"),
        DeploymentRow.promotion_id,
    )
    .join(VersionRow, VersionRow.id == DeploymentRow.version_id)
    .where(DeploymentRow.ended_at.is_(None), DeploymentRow.pipeline_id.in_(bindparam("pipeline_ids", expanding=True)))
)
_LIVE_VERSIONS = _LIVE.with_only_columns(
    DeploymentRow.pipeline_id, DeploymentRow.environment, VersionRow.number, VersionRow.digest
)
_SPECS = select(VersionRow.digest, VersionRow.spec).where(VersionRow.digest.in_(bindparam("digests", expanding=True)))
_TABLES = (
    select(func.count())
    .select_from(SinkTableRow)
    .where(SinkTableRow.version_id == AdmissionRow.version_id)
    .correlate(AdmissionRow)
    .scalar_subquery()
)
_PUBLISHED = (
    select(func.count(ReceiptRow.table_name.distinct()))
    .where(ReceiptRow.root_run_id == AdmissionRow.root_run_id, ReceiptRow.pipeline_id == AdmissionRow.pipeline_id)
    .correlate(AdmissionRow)
    .scalar_subquery()
)
_RUNS = select(
    AdmissionRow.id,
    AdmissionRow.pipeline_id,
    AdmissionRow.environment,
    AdmissionRow.run_id,
    VersionRow.number,
    AdmissionRow.state,
    AdmissionRow.admitted_at,
    AdmissionRow.ended_at,
    AdmissionRow.why,
    AdmissionRow.outcome,
    _TABLES.label("tables"),
    _PUBLISHED.label("published"),
).join(VersionRow, VersionRow.id == AdmissionRow.version_id)
_IDS: BindParameter[int] = bindparam("pipeline_ids", expanding=True)
_LAST_RUNS = _RUNS.where(
    or_(
        AdmissionRow.id.in_(
            select(func.max(AdmissionRow.id))
            .where(AdmissionRow.pipeline_id.in_(_IDS))
            .group_by(AdmissionRow.pipeline_id, AdmissionRow.environment)
        ),
        AdmissionRow.id.in_(
            select(AdmissionRow.id).where(
                AdmissionRow.pipeline_id.in_(_IDS), AdmissionRow.state == AdmissionState.RUNNING.value
            )
        ),
    )
).order_by(AdmissionRow.id)
_RUNS_OF = (
    _RUNS.where(AdmissionRow.pipeline_id == bindparam("pipeline_id"))
    .order_by(AdmissionRow.id.desc())
    .limit(bindparam("limit"))
)
# By version, for which there is an index.
_FRESH = (
    select(ReceiptRow.pipeline_id, ReceiptRow.environment, func.max(ReceiptRow.at))
    .join(VersionRow, VersionRow.id == ReceiptRow.version_id)
    .where(VersionRow.pipeline_id.in_(_IDS))
    .group_by(ReceiptRow.pipeline_id, ReceiptRow.environment)
)
_ASKED = (
    select(
        PromotionRow.id,
        PromotionRow.pipeline_id,
        PromotionRow.target,
        PromotionRow.state,
        VersionRow.number,
        PromotionRow.expires_at,
    )
    .join(VersionRow, VersionRow.id == PromotionRow.version_id)
    .where(PromotionRow.pipeline_id.in_(_IDS), PromotionRow.state.in_(_UNFINISHED))
    .order_by(PromotionRow.id)
)
_DRIFTS = (
    select(DriftRow.pipeline_id, DriftRow.environment, func.count())
    .where(DriftRow.pipeline_id.in_(_IDS), DriftRow.state.in_(UNSETTLED))
    .group_by(DriftRow.pipeline_id, DriftRow.environment)
)


class Overview:
    """Read only."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def heads(self) -> tuple[Head, ...]:
        """Every pipeline that is not deleted, by name."""
        return tuple(Head(*row) for row in self._tx.prepared_tuples(_HEADS))

    def saved(self, digests: Iterable[str]) -> dict[str, tuple[datetime, str | None]]:
        """When, and by whom, each of these versions was saved."""
        rows = self._tx.prepared_tuples(_SAVED, digests=list(digests))
        return {digest: (at, author) for digest, at, author in rows}

    def active_in(self, environment: Environment) -> frozenset[int]:
        """The pipelines of which a version is active there."""
        return frozenset(row[0] for row in self._tx.prepared_tuples(_ACTIVE_IN, environment=environment.value))

    def live(self, pipeline_ids: Iterable[int]) -> dict[int, dict[Environment, Live]]:
        """What is active of these pipelines where."""
        found: dict[int, dict[Environment, Live]] = {}
        for one in self._tx.prepared_many(Live, _LIVE, pipeline_ids=list(pipeline_ids)):
            found.setdefault(one.pipeline_id, {})[one.environment] = one
        return found

    def live_versions(self, pipeline_ids: Iterable[int]) -> dict[int, list[tuple[Environment, int, str]]]:
        """The same in short: by pipeline, each environment with the number and the digest of what is active there."""
        ids = tuple(pipeline_ids)
        return self._tx.once(("live versions", ids), lambda: self._live_versions(ids))

    def _live_versions(self, ids: tuple[int, ...]) -> dict[int, list[tuple[Environment, int, str]]]:
        found: dict[int, list[tuple[Environment, int, str]]] = {}
        for pipeline_id, where, number, digest in self._tx.prepared_tuples(_LIVE_VERSIONS, pipeline_ids=list(ids)):
            found.setdefault(pipeline_id, []).append((Environment(where), number, digest))
        return found

    def specs(self, digests: Sequence[str]) -> dict[str, str]:
        """The canonical text of each of these versions."""
        found: dict[str, str] = {}
        for start in range(0, len(digests), 500):
            rows = self._tx.prepared_tuples(_SPECS, digests=list(digests[start : start + 500]))
            found.update((digest, spec) for digest, spec in rows)
        return found

    def last_runs(self, pipeline_ids: Iterable[int]) -> dict[tuple[int, Environment], RunSummary]:
        """Per pipeline and environment the run in progress, else the newest."""
        found: dict[tuple[int, Environment], RunSummary] = {}
        for run in self._tx.prepared_many(RunSummary, _LAST_RUNS, pipeline_ids=list(pipeline_ids)):
            known = found.get((run.pipeline_id, run.environment))
            if known is None or known.state is not AdmissionState.RUNNING:
                found[run.pipeline_id, run.environment] = run
        return found

    def runs(self, pipeline_id: int, *, limit: int) -> tuple[RunSummary, ...]:
        """The newest runs of one pipeline."""
        return self._tx.prepared_many(RunSummary, _RUNS_OF, pipeline_id=pipeline_id, limit=limit)

    def fresh(self, pipeline_ids: Iterable[int]) -> dict[tuple[int, Environment], datetime]:
        """When each pipeline last published something in each environment."""
        rows = self._tx.prepared_tuples(_FRESH, pipeline_ids=list(pipeline_ids))
        return {(pipeline_id, Environment(where)): at for pipeline_id, where, at in rows}

    def asked(self, pipeline_ids: Iterable[int]) -> tuple[Asked, ...]:
        """Requests that are not over, oldest first."""
        return self._tx.prepared_many(Asked, _ASKED, pipeline_ids=list(pipeline_ids))

    def drifts(self, pipeline_ids: Iterable[int]) -> dict[tuple[int, Environment], int]:
        """How many tables have drifted (L15)."""
        rows = self._tx.prepared_tuples(_DRIFTS, pipeline_ids=list(pipeline_ids))
        return {(pipeline_id, Environment(where)): count for pipeline_id, where, count in rows}
