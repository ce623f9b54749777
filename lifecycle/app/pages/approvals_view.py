"""Requests in lists: as few statements for thousands as for one."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Outline, State
from lifecycle.store.unit import View
from lifecycle.usecases.pending import pending_outlines
from lifecycle.usecases.visible import visible_ids

PAGE = 50
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
        return bool(self.state or self.target or self.pipeline or self.mine)


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


def under_way(view: View, actor: Actor, filters: Filters) -> tuple[Line, ...]:
    """Everything that is not over, what waits for the visitor first, then the oldest first."""
    states = [state for state in _NOT_OVER if filters.state in (None, state)]
    if not states:
        return ()
    mine = {one.id for one in pending_outlines(view, actor)}
    every = view.promotions.outlines(
        states=states, target=filters.target, pipeline_ids=visible_ids(view, actor), text=filters.pipeline.lower()
    )
    shown = [one for one in reversed(every) if one.id in mine or not filters.mine]
    approved = view.promotions.approvers([one.id for one in shown]) if shown else {}
    policies = view.policies.some({one.policy_id for one in shown if one.policy_id is not None}) if shown else {}
    lines: list[Line] = []
    for one in shown:
        revision = policies.get(one.policy_id or 0)
        quorum = ((revision and revision.body) or Policy()).quorum if one.target.governed else ""
        lines.append(Line(one, one.id in mine, len(approved.get(one.id, ())), quorum))
    return tuple(sorted(lines, key=lambda line: (not line.mine, line.asked.id)))


def history(view: View, actor: Actor, filters: Filters, before: int | None) -> Past:
    """A page of what is over."""
    states = [state for state in _OVER if filters.state in (None, state)]
    if not states or filters.mine:
        return Past((), frozenset(), None)
    found = view.promotions.outlines(
        states=states,
        target=filters.target,
        pipeline_ids=visible_ids(view, actor),
        text=filters.pipeline.lower(),
        before=before,
        limit=PAGE + 1,
    )
    lines = found[:PAGE]
    return Past(
        lines,
        view.promotions.without_review([one.id for one in lines]),
        found[PAGE - 1].id if len(found) > PAGE else None,
    )
