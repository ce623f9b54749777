"""Requests in lists: as few statements for thousands as for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifecycle.app.kit.paging import SIZE, Paged, paged
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Outline, State
from lifecycle.store.unit import View
from lifecycle.usecases.unreviewed import unreviewed

_OVER = tuple(state for state in State if state.is_terminal)
_NOT_OVER = tuple(state for state in State if not state.is_terminal)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a visitor wants to see; what is not set shows everything. `mine`: waits for the visitor."""

    state: State | None = None
    target: Environment | None = None
    pipeline: str = ""
    mine: bool = False

    @property
    def any(self) -> bool:
        return any(self.asked.values())

    @property
    def asked(self) -> dict[str, str]:
        """The filters as an address says them; empty where one is not set."""
        return {
            "state": self.state.value if self.state else "",
            "target": self.target.value if self.target else "",
            "pipeline": self.pipeline,
            "mine": "1" if self.mine else "",
        }


@dataclass(frozen=True, slots=True)
class Line:
    """A request that is not over, with how far its approval is: `approvals` people, of what `quorum` asks."""

    asked: Outline
    mine: bool
    approvals: int
    quorum: str


@dataclass(frozen=True, slots=True)
class Past:
    """A page of requests that are over, newest first; `next` pages on. `unreviewed`: which of them are (L7)."""

    lines: tuple[Outline, ...]
    unreviewed: frozenset[int]
    next: int | None


def under_way(
    view: View, filters: Filters, number: int, mine: Sequence[int], seen: frozenset[int] | None
) -> Paged[Line]:
    """A page of what is not over: what waits for the visitor (`mine`) first, then the oldest first.

    `seen` are the pipelines that the visitor may see; None: all of them.
    """
    states = [state for state in _NOT_OVER if filters.state in (None, state)]
    every: list[int] = []
    if states:
        text = filters.pipeline.lower()
        every = view.lists.ids(states=states, target=filters.target, pipeline_ids=seen, text=text)
    first = frozenset(mine)
    ordered = [one for one in every if one in first]
    if not filters.mine:
        ordered += [one for one in every if one not in first]
    part = paged(ordered, number, "/approvals", filters.asked, at="pending")
    shown = view.lists.outlines(part.items)
    approved = view.promotions.approvers(part.items) if shown else {}
    policies = view.policies.some({one.policy_id for one in shown if one.policy_id is not None}) if shown else {}

    def line(one: Outline) -> Line:
        revision = policies.get(one.policy_id or 0)
        quorum = ((revision and revision.body) or Policy()).quorum if one.target.governed else ""
        return Line(one, one.id in first, len(approved.get(one.id, ())), quorum)

    return part.of(line(one) for one in shown)


def to_review(view: View, actor: Actor, number: int) -> Paged[Outline]:
    """A page of the releases awaiting review (L7), oldest first."""
    every = [one.id for one in unreviewed(view, actor)]
    part = paged(every, number, "/approvals", {}, name="reviews", at="reviews")
    return part.of(view.lists.outlines(part.items))


def history(view: View, filters: Filters, before: int | None, seen: frozenset[int] | None) -> Past:
    """A page of what is over, of the pipelines in `seen`."""
    states = [state for state in _OVER if filters.state in (None, state)]
    if not states or filters.mine:
        return Past((), frozenset(), None)
    found = view.lists.newest(
        states=states,
        target=filters.target,
        pipeline_ids=seen,
        text=filters.pipeline.lower(),
        before=before,
        limit=SIZE + 1,
    )
    lines = found[:SIZE]
    return Past(
        lines,
        view.lists.without_review([one.id for one in lines]),
        found[SIZE - 1].id if len(found) > SIZE else None,
    )
