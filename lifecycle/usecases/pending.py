"""Pending approvals: who may decide what now."""

from __future__ import annotations

from lifecycle.domain.people import Actor, Person, PersonKind
from lifecycle.domain.promotion import Promotion, State, Verdict
from lifecycle.store.unit import View
from lifecycle.usecases.access import target_of
from lifecycle.usecases.deciding import policy_of
from lifecycle.usecases.planning import contributors


def may_decide(view: View, promotion: Promotion) -> tuple[str, ...]:
    """The names of those who may still approve a request that waits for approval."""
    if promotion.state is not State.REQUESTED:
        return ()
    return tuple(person.name for person in view.people.all() if _may(view, promotion, person))


def pending_for(view: View, actor: Actor) -> tuple[Promotion, ...]:
    """The requests that this person may approve now, oldest first."""
    if actor.person is None:
        return ()
    person = view.people.get(actor.person)
    waiting = view.promotions.list(states=[State.REQUESTED], limit=1000)
    return tuple(reversed([promotion for promotion in waiting if _may(view, promotion, person)]))


def _may(view: View, promotion: Promotion, person: Person) -> bool:
    if person.kind is PersonKind.SERVICE or person.disabled_at is not None:
        return False
    pipeline = view.pipelines.get(promotion.pipeline_id)
    version = view.pipelines.version(promotion.version_id)
    policy = policy_of(view, promotion)
    standing = view.people.standing(person, target_of(view, pipeline, version))
    if standing.role is None or not policy.parsed_quorum.admits(standing):
        return False
    said = {(one.identity, one.verdict) for one in view.promotions.decisions(promotion.id)}
    if (standing.identity, Verdict.APPROVE) in said:
        return False
    own = standing.identity in contributors(view, pipeline, version, promotion.target, promotion.requested_by)
    return policy.approvals == "solo" or not own
