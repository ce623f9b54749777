"""Pending approvals: who may decide what now."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lifecycle.domain.people import Actor, Person, PersonKind, Target, role_on
from lifecycle.domain.promotion import Promotion, State, Verdict
from lifecycle.domain.quorum import Standing
from lifecycle.store.unit import View
from lifecycle.usecases.access import target_of
from lifecycle.usecases.deciding import policy_of
from lifecycle.usecases.planning import contributors


def may_decide(view: View, promotion: Promotion) -> tuple[str, ...]:
    """The names of those who may still approve a request that waits for approval."""
    if promotion.state is not State.REQUESTED:
        return ()
    return tuple(person.name for person in _who(view, promotion, view.people.standings))


def pending_for(view: View, actor: Actor) -> tuple[Promotion, ...]:
    """The requests that this person may approve now, oldest first."""
    if actor.person is None:
        return ()
    person = view.people.get(actor.person)
    grants, teams = view.people.grants(person.id), view.people.team_names(person.id)

    def only(target: Target) -> list[tuple[Person, Standing]]:
        role = role_on(grants, target)
        return [(person, Standing(identity=person.identity, name=person.name, role=role, teams=teams))]

    waiting = view.promotions.list(states=[State.REQUESTED], limit=1000)
    return tuple(reversed([promotion for promotion in waiting if _who(view, promotion, only)]))


def _who(
    view: View, promotion: Promotion, standings: Callable[[Target], Sequence[tuple[Person, Standing]]]
) -> list[Person]:
    """Who of these may approve; what costs more is asked only while there is somebody left."""
    pipeline = view.pipelines.get(promotion.pipeline_id)
    version = view.pipelines.version(promotion.version_id)
    policy = policy_of(view, promotion)
    able = [
        (person, standing)
        for person, standing in standings(target_of(view, pipeline, version))
        if person.kind is not PersonKind.SERVICE
        and person.disabled_at is None
        and standing.role is not None
        and policy.parsed_quorum.admits(standing)
    ]
    if not able:
        return []
    said = {one.identity for one in view.promotions.decisions(promotion.id) if one.verdict is Verdict.APPROVE}
    own: frozenset[str] = frozenset()
    if policy.approvals != "solo":
        own = contributors(view, pipeline, version, promotion.target, promotion.requested_by)
    return [person for person, standing in able if standing.identity not in said | own]
