"""Pending approvals: who may decide what now."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.domain.people import Actor, Person, PersonKind, role_on
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Outline, Promotion, State
from lifecycle.domain.quorum import Standing
from lifecycle.store.unit import View
from lifecycle.usecases.access import Asked, target_of, targets_of
from lifecycle.usecases.deciding import policy_of
from lifecycle.usecases.planning import Release, contributors_to
from lifecycle.usecases.unreviewed import unreviewed_outlines


def may_decide(view: View, promotion: Promotion) -> tuple[str, ...]:
    """The names of those who may still approve a request that waits for approval."""
    if promotion.state is not State.REQUESTED:
        return ()
    pipeline = view.pipelines.get(promotion.pipeline_id)
    version = view.pipelines.version(promotion.version_id)
    policy = policy_of(view, promotion)
    able = [
        person
        for person, standing in view.people.standings(target_of(view, pipeline, version))
        if _admits(policy, person, standing)
    ]
    if not able:
        return ()
    spent = _spent(view, [_release(promotion)], [promotion.id], [policy])[0]
    return tuple(person.name for person in able if person.identity not in spent)


def pending_for(view: View, actor: Actor) -> tuple[Promotion, ...]:
    """The requests that this person may approve now, oldest first."""
    return view.promotions.some(one.id for one in pending_outlines(view, actor))


def pending_outlines(view: View, actor: Actor) -> tuple[Outline, ...]:
    """The same as lists show them: one question for badge, list and the next one to look at.

    As few queries for many requests as for one, for it is asked with every page.
    """
    return _theirs(view, actor, tuple(reversed(view.promotions.outlines(states=[State.REQUESTED]))))


def reviews_for(view: View, actor: Actor) -> tuple[Promotion, ...]:
    """The unreviewed releases that this person may review now, oldest first (L7): no one's own work, in no policy."""
    return view.promotions.some(one.id for one in _theirs(view, actor, unreviewed_outlines(view, actor), solo=False))


def _theirs(view: View, actor: Actor, waiting: Sequence[Outline], *, solo: bool = True) -> tuple[Outline, ...]:
    """Those of `waiting` about which this person's word counts; `solo`: also on their own work, where a policy says."""
    if not waiting or actor.person is None:
        return ()
    person = view.people.get(actor.person)
    if person.kind is PersonKind.SERVICE or person.disabled_at is not None:
        return ()
    grants, teams = view.people.grants(person.id), view.people.team_names(person.id)
    revisions = view.policies.some({one.policy_id for one in waiting if one.policy_id is not None})
    asked = [Asked(pipeline_id=one.pipeline_id, pipeline=one.pipeline, digest=one.digest) for one in waiting]
    targets = dict(zip([one.id for one in waiting], targets_of(view, asked), strict=True))
    able: list[tuple[Outline, Policy]] = []
    for one in waiting:
        revision = revisions.get(one.policy_id or 0)
        policy = (revision and revision.body) or Policy()
        role = role_on(grants, targets[one.id])
        standing = Standing(identity=person.identity, name=person.name, role=role, teams=teams)
        if _admits(policy, person, standing):
            able.append((one, policy))
    if not able:
        return ()
    spent = _spent(
        view, [_release(one) for one, _ in able], [one.id for one, _ in able], [p for _, p in able], solo=solo
    )
    return tuple(one for (one, _), names in zip(able, spent, strict=True) if person.identity not in names)


def _admits(policy: Policy, person: Person, standing: Standing) -> bool:
    return (
        person.kind is not PersonKind.SERVICE
        and person.disabled_at is None
        and standing.role is not None
        and policy.parsed_quorum.admits(standing)
    )


def _spent(
    view: View,
    releases: Sequence[Release],
    promotions: Sequence[int],
    policies: Sequence[Policy],
    *,
    solo: bool = True,
) -> list[frozenset[str]]:
    """Per request the identities whose approval would not count: they gave it, or it is their own work (L6)."""
    said = view.promotions.approvers(promotions)
    own = contributors_to(view, releases)
    return [
        said.get(promotion, frozenset[str]()) | (frozenset[str]() if solo and policy.approvals == "solo" else work)
        for promotion, policy, work in zip(promotions, policies, own, strict=True)
    ]


def _release(asked: Promotion | Outline) -> Release:
    return Release(
        pipeline_id=asked.pipeline_id,
        version_id=asked.version_id,
        target=asked.target,
        requester=asked.requested_by,
    )
