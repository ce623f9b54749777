"""Requests as lists show them: which, without reading more than that, then the rows of one page."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, or_, select

from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import Outline, State, Verdict, Waits
from lifecycle.domain.version import Label
from lifecycle.store.tables import DecisionRow, DeploymentRow, PipelineRow, PromotionRow, VersionRow
from lifecycle.store.tables_people import PersonRow
from lifecycle.store.tx import Tx

_OUTLINES = (
    select(
        PromotionRow.id,
        PromotionRow.pipeline_id,
        PipelineRow.name.label("pipeline"),
        PromotionRow.version_id,
        VersionRow.number,
        VersionRow.digest,
        PromotionRow.plan["kind"].as_string().label("kind"),
        PromotionRow.plan["source"].as_string().label("source"),
        PromotionRow.target,
        PromotionRow.state,
        PromotionRow.policy_id,
        PromotionRow.requested_by,
        PersonRow.name.label("asked_by"),
        PromotionRow.reason,
        PromotionRow.requested_at,
        PromotionRow.expires_at,
        PromotionRow.finished_at,
        PromotionRow.outcome,
    )
    .join(PipelineRow, PipelineRow.id == PromotionRow.pipeline_id)
    .join(VersionRow, VersionRow.id == PromotionRow.version_id)
    .outerjoin(PersonRow, PersonRow.id == PromotionRow.requested_by)
)
_SOME = _OUTLINES.where(PromotionRow.id.in_(bindparam("ids", expanding=True)))
_WAITS = select(
    PromotionRow.id,
    PromotionRow.pipeline_id,
    PromotionRow.version_id,
    PromotionRow.target,
    PromotionRow.policy_id,
    PromotionRow.requested_by,
).order_by(PromotionRow.id)
_REQUESTED = PromotionRow.state == State.REQUESTED.value
_WAITING = _WAITS.where(_REQUESTED)
# As labelled, not as reviewed: the audit log says who looked at it later.
_LABELLED = select(DeploymentRow.promotion_id).where(
    DeploymentRow.label == Label.UNREVIEWED.value, DeploymentRow.promotion_id.is_not(None)
)
_UNREVIEWED = _WAITS.where(PromotionRow.id.in_(_LABELLED), PromotionRow.plan["kind"].as_string() != "rollback")
_APPROVED = select(DecisionRow.promotion_id).where(
    DecisionRow.identity == bindparam("identity"), DecisionRow.verdict == Verdict.APPROVE.value
)
_APPROVED_WAITING = _APPROVED.where(DecisionRow.promotion_id.in_(select(PromotionRow.id).where(_REQUESTED)))
_APPROVED_UNREVIEWED = _APPROVED.where(DecisionRow.promotion_id.in_(_LABELLED))
_ASKED_BY = select(PromotionRow.pipeline_id, PromotionRow.version_id).where(
    or_(
        PromotionRow.requested_by.in_(bindparam("accounts", expanding=True)),
        PromotionRow.acted_for.in_(bindparam("accounts", expanding=True)),
    )
)
_ENVIRONMENTS = {environment.value: environment for environment in Environment}


class Lists:
    """As few statements for thousands of requests as for one."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def waiting(self) -> tuple[Waits, ...]:
        """Everything that waits for approval, oldest first."""
        return self._waits(_WAITING)

    def unreviewed(self) -> tuple[Waits, ...]:
        """What was ever released without an independent approval, but by a rollback, oldest first."""
        return self._waits(_UNREVIEWED)

    def approved_waiting(self, identity: str) -> frozenset[int]:
        """Which of what waits for approval this identity approved already."""
        return frozenset(row[0] for row in self._tx.prepared_tuples(_APPROVED_WAITING, identity=identity))

    def approved_unreviewed(self, identity: str) -> frozenset[int]:
        """Which of `unreviewed` this identity approved."""
        return frozenset(row[0] for row in self._tx.prepared_tuples(_APPROVED_UNREVIEWED, identity=identity))

    def asked_by(self, accounts: Iterable[int]) -> tuple[tuple[int, int], ...]:
        """For what these accounts ever asked, or had somebody ask: pipeline and version."""
        rows = self._tx.prepared_tuples(_ASKED_BY, accounts=sorted(accounts))
        return tuple((pipeline_id, version_id) for pipeline_id, version_id in rows)

    def ids(
        self,
        *,
        states: Iterable[State],
        target: Environment | None = None,
        pipeline_ids: Collection[int] | None = None,
        text: str = "",
    ) -> list[int]:
        """All requests with these properties, oldest first; `pipeline_ids` None: of all pipelines.

        `text` is in the pipeline's name.
        """
        wanted = tuple(states), target, None if pipeline_ids is None else tuple(sorted(pipeline_ids)), text
        return list(self._tx.once(("request ids", *wanted), lambda: tuple(self._ids(*wanted))))

    def _ids(
        self, states: Iterable[State], target: Environment | None, pipeline_ids: Collection[int] | None, text: str
    ) -> list[int]:
        query = select(PromotionRow.id)
        if text:
            query = query.join(PipelineRow, PipelineRow.id == PromotionRow.pipeline_id)
        return self._tx.values(_having(query, states, target, pipeline_ids, text).order_by(PromotionRow.id))

    def outlines(self, ids: Sequence[int]) -> tuple[Outline, ...]:
        """These requests, in this order."""
        found = {one.id: one for one in self._tx.prepared_many(Outline, _SOME, ids=list(ids))} if ids else {}
        return tuple(found[one] for one in ids)

    def newest(
        self,
        *,
        states: Iterable[State],
        target: Environment | None = None,
        pipeline_ids: Collection[int] | None = None,
        text: str = "",
        before: int | None = None,
        limit: int,
    ) -> tuple[Outline, ...]:
        """Some of what `ids` finds, newest first; `before` (an id) pages on."""
        query = _having(_OUTLINES, states, target, pipeline_ids, text)
        if before is not None:
            query = query.where(PromotionRow.id < before)
        return self._tx.many(Outline, query.order_by(PromotionRow.id.desc()).limit(limit))

    def without_review(self, promotions: Collection[int]) -> frozenset[int]:
        """Which of these requests released something without an independent approval."""
        query = select(DeploymentRow.promotion_id).where(
            DeploymentRow.label == Label.UNREVIEWED.value, DeploymentRow.promotion_id.in_(list(promotions))
        )
        return frozenset(row[0] for row in self._tx.tuples(query))

    def _waits(self, query: Select[*tuple[Any, ...]]) -> tuple[Waits, ...]:
        return tuple(
            Waits(key, pipeline_id, version_id, _ENVIRONMENTS[target], policy_id, requested_by)
            for key, pipeline_id, version_id, target, policy_id, requested_by in self._tx.prepared_tuples(query)
        )


def _having(
    query: Select[*tuple[Any, ...]],
    states: Iterable[State],
    target: Environment | None,
    pipeline_ids: Collection[int] | None,
    text: str,
) -> Select[*tuple[Any, ...]]:
    query = query.where(PromotionRow.state.in_([state.value for state in states]))
    if target is not None:
        query = query.where(PromotionRow.target == target.value)
    if pipeline_ids is not None:
        query = query.where(PromotionRow.pipeline_id.in_(sorted(pipeline_ids)))
    return query.where(PipelineRow.name.contains(text, autoescape=True)) if text else query
