"""Requests to promote, with their decisions, comments and the journal of their execution."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache, partial
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, select, update

from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import Ask, Change, Comment, Decision, Promotion, State, Verdict, apply
from lifecycle.errors import Conflict, NotFound
from lifecycle.store.tables import CommentRow, DecisionRow, JournalRow, PromotionRow
from lifecycle.store.tx import Tx, by, changing

_NEW: dict[str, Any] = {"revision": 1, "outcome": "", "pinned": False}
_OPEN = (State.REQUESTED.value, State.APPROVED.value)
_UNFINISHED = (*_OPEN, State.EXECUTING.value, State.FAILED.value)

# Plans are read from their text: most requests are looked at more than once.
_promotions = partial(by, PromotionRow, as_text=("plan",))
_BY_ID = _promotions("id")
_SOME = _promotions(where=(PromotionRow.id.in_(bindparam("ids", expanding=True)),), order=(PromotionRow.id,))
_OPEN_FOR = _promotions("version_id", where=(PromotionRow.state.in_(_OPEN),), order=(PromotionRow.id,))
_INTO = _promotions("pipeline_id", where=(PromotionRow.state.in_(_UNFINISHED),), order=(PromotionRow.id,))
_OVER = [state.value for state in State if state.is_terminal]
_OVER_BUT_PINNED = _promotions(
    where=(PromotionRow.pinned.is_(True), PromotionRow.state.in_(_OVER)), order=(PromotionRow.id,)
)
_OF_VERSIONS = _promotions(
    where=(PromotionRow.version_id.in_(bindparam("version_ids", expanding=True)),),
    order=(PromotionRow.id,),
)
_ASKS = (
    select(
        PromotionRow.id,
        PromotionRow.version_id,
        PromotionRow.requested_by,
        PromotionRow.acted_for,
        PromotionRow.requested_at.label("at"),
    )
    .where(PromotionRow.version_id.in_(bindparam("version_ids", expanding=True)))
    .order_by(PromotionRow.id)
)
_APPROVERS = select(DecisionRow.promotion_id, DecisionRow.identity).where(
    DecisionRow.promotion_id.in_(bindparam("promotion_ids", expanding=True)),
    DecisionRow.verdict == Verdict.APPROVE.value,
)
_MOVES = ("revision", "state", "outcome", "approved_at", "finished_at", "executor", "lease_until")
_CHANGE = changing(PromotionRow, "id", "revision", sets=_MOVES)
_DECISIONS = by(DecisionRow, "promotion_id", order=(DecisionRow.id,))
_COMMENTS = by(CommentRow, "promotion_id", order=(CommentRow.id,))
_JOURNAL = (
    select(JournalRow.table_name, JournalRow.state)
    .where(JournalRow.promotion_id == bindparam("promotion_id"))
    .order_by(JournalRow.position)
)


class Promotions:
    """A request changes only through `change`, a compare-and-set on its revision."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def add(self, **values: Any) -> Promotion:
        """`values` are the fields of Promotion that the caller decides."""
        return self.get(self._tx.insert(PromotionRow, **{**_NEW, "requested_at": self._tx.now, **values}))

    def get(self, promotion_id: int) -> Promotion:
        found = self._tx.prepared(Promotion, _BY_ID, id=promotion_id)
        if found is None:
            raise NotFound(f"there is no request {promotion_id}; drls approvals list shows open requests")
        return found

    def some(self, promotion_ids: Iterable[int]) -> tuple[Promotion, ...]:
        """Those of these requests that there are, oldest first."""
        return self._tx.prepared_many(Promotion, _SOME, ids=sorted(promotion_ids))

    def change(self, promotion: Promotion, change: Change) -> Promotion:
        """Applies `change`. Raises Conflict when the state forbids it or somebody was first."""
        after = apply(promotion, change)
        moved = {f"set_{name}": getattr(after, name) for name in _MOVES}
        changed = self._tx.change(_CHANGE, of_id=promotion.id, of_revision=promotion.revision, **moved)
        if not changed:
            raise Conflict(f"request {promotion.id} has changed in the meantime; review it again, then decide")
        return after

    def renew(self, promotion: Promotion, lease_until: datetime | None) -> bool:
        """Lengthens an executor's lease, or (None) gives it up for any executor; False when the executor lost it."""
        statement = (
            update(PromotionRow)
            .where(
                PromotionRow.id == promotion.id,
                PromotionRow.executor == promotion.executor,
                PromotionRow.state == State.EXECUTING.value,
            )
            .values(lease_until=lease_until)
        )
        return self._tx.update(statement) == 1

    def note_unpinned(self, promotion_id: int) -> bool:
        """Notes that the candidates' tags are gone; False when that was noted before."""
        statement = update(PromotionRow).where(PromotionRow.id == promotion_id, PromotionRow.pinned)
        return self._tx.update(statement.values(pinned=False)) == 1

    def over_but_pinned(self) -> tuple[Promotion, ...]:
        """Requests that are over and whose candidates' tags are still to be removed."""
        return self._tx.prepared_many(Promotion, _OVER_BUT_PINNED)

    def open_for_version(self, version_id: int) -> tuple[Promotion, ...]:
        return self._tx.prepared_many(Promotion, _OPEN_FOR, version_id=version_id)

    def unfinished(self, pipeline_id: int) -> tuple[Promotion, ...]:
        """Open, executing and failed requests into any environment, oldest first."""
        return self._tx.prepared_many(Promotion, _INTO, pipeline_id=pipeline_id)

    def of_versions(self, version_ids: Iterable[int]) -> tuple[Promotion, ...]:
        return self._tx.prepared_many(Promotion, _OF_VERSIONS, version_ids=list(version_ids))

    def list(
        self,
        *,
        states: Iterable[State] = (),
        target: Environment | None = None,
        pipeline_id: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[Promotion, ...]:
        """Requests, newest first; `before` (an id) pages on."""
        asked: dict[str, Any] = {
            "states": [state.value for state in states] or None,
            "target": target and target.value,
            "pipeline_id": pipeline_id,
            "before": before,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        return self._tx.prepared_many(Promotion, _listing(frozenset(given)), **given, limit=limit)

    def asks(self, version_ids: Iterable[int]) -> tuple[Ask, ...]:
        """Who asked for promotions of these versions, oldest first."""
        return self._tx.prepared_many(Ask, _ASKS, version_ids=sorted(version_ids))

    def approvers(self, promotion_ids: Iterable[int]) -> dict[int, frozenset[str]]:
        """By request the identities of those who approved it."""
        found: dict[int, set[str]] = {}
        for promotion_id, identity in self._tx.prepared_tuples(_APPROVERS, promotion_ids=sorted(promotion_ids)):
            found.setdefault(promotion_id, set()).add(identity)
        return {promotion_id: frozenset(identities) for promotion_id, identities in found.items()}

    def count_unfinished(self, only: Collection[int] | None = None) -> dict[Environment, int]:
        """How many requests into each environment are not over."""
        query = select(PromotionRow.target, func.count()).where(PromotionRow.state.in_(_UNFINISHED))
        if only is not None:
            query = query.where(PromotionRow.pipeline_id.in_(list(only)))
        return {Environment(row[0]): row[1] for row in self._tx.tuples(query.group_by(PromotionRow.target))}

    def add_decision(self, **values: Any) -> None:
        self._tx.insert(DecisionRow, at=self._tx.now, **values)

    def decisions(self, promotion_id: int) -> tuple[Decision, ...]:
        return self._tx.prepared_many(Decision, _DECISIONS, promotion_id=promotion_id)

    def add_comment(self, promotion_id: int, person: int, body: str) -> Comment:
        key = self._tx.insert(CommentRow, promotion_id=promotion_id, person=person, body=body, at=self._tx.now)
        return Comment(id=key, promotion_id=promotion_id, person=person, body=body, at=self._tx.now)

    def comments(self, promotion_id: int) -> tuple[Comment, ...]:
        return self._tx.prepared_many(Comment, _COMMENTS, promotion_id=promotion_id)

    def journal(self, promotion_id: int) -> dict[str, str]:
        """By table, in order: `intended` (about to move) or `moved`."""
        return {row[0]: row[1] for row in self._tx.prepared_tuples(_JOURNAL, promotion_id=promotion_id)}

    def moves_from(self, promotion_id: int) -> dict[str, int | None]:
        """By table: the head that its ref moves from, or has moved from. Not of what an older DRLS began."""
        query = select(JournalRow.table_name, JournalRow.base).where(
            JournalRow.promotion_id == promotion_id, JournalRow.base.is_not(None)
        )
        return {row[0]: row[1] for row in self._tx.tuples(query)}

    def write_journal(
        self, promotion_id: int, tables: Iterable[str], state: str, bases: Mapping[str, int | None]
    ) -> None:
        """Notes `state` for each table, new or not; and what those of `bases` move from."""
        known = self.journal(promotion_id)
        for position, table in enumerate([*known, *(name for name in tables if name not in known)]):
            if table not in known:
                self._tx.insert(JournalRow, promotion_id=promotion_id, position=position, table_name=table, state=state)
        self._tx.update(
            update(JournalRow)
            .where(JournalRow.promotion_id == promotion_id, JournalRow.table_name.in_(list(tables)))
            .values(state=state)
        )
        for table, base in bases.items():
            self._tx.update(
                update(JournalRow)
                .where(JournalRow.promotion_id == promotion_id, JournalRow.table_name == table)
                .values(base=base)
            )


@cache
def _listing(given: frozenset[str]) -> Select[*tuple[Any, ...]]:
    """The query for a list with these filters."""
    filters: dict[str, ColumnElement[bool]] = {
        "states": PromotionRow.state.in_(bindparam("states", expanding=True)),
        "target": PromotionRow.target == bindparam("target"),
        "pipeline_id": PromotionRow.pipeline_id == bindparam("pipeline_id"),
        "before": PromotionRow.id < bindparam("before"),
    }
    where = [filters[name] for name in sorted(given)]
    return _promotions(where=where, order=(PromotionRow.id.desc(),)).limit(bindparam("limit"))
