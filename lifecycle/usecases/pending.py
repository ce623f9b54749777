"""Pending approvals: who may decide what now."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lifecycle.domain.people import Actor, Person, PersonKind
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Promotion, State, Waits
from lifecycle.domain.quorum import Standing
from lifecycle.store.unit import View
from lifecycle.usecases.parts.access import roles_on, target_of
from lifecycle.usecases.parts.contributors import contributors, own_work
from lifecycle.usecases.parts.deciding import policy_of
from lifecycle.usecases.unreviewed import unreviewed


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
        if _is_heard(person) and _admits(policy, standing)
    ]
    if not able:
        return ()
    spent = view.promotions.approvers([promotion.id]).get(promotion.id, frozenset[str]())
    able = [person for person in able if person.identity not in spent]
    if policy.approvals != "solo":
        known = contributors(view, pipeline, version, promotion.target, promotion.requested_by)
        able = [person for person in able if not known.why_not(person, view.now)]
    return tuple(person.name for person in able)


def pending_ids(view: View, actor: Actor) -> tuple[int, ...]:
    """The requests that this person may approve now, oldest first.

    One question for the badge, the lists and the next one to look at. It is asked with every page, so it costs as few
    queries for thousands of requests as for one, and reads no more of each than it must.
    """
    return _theirs(view, actor, view.lists.waiting(), view.lists.approved_waiting)


def pending_for(view: View, actor: Actor) -> tuple[Promotion, ...]:
    """The same with all that there is of them."""
    return view.promotions.some(pending_ids(view, actor))


def review_ids(view: View, actor: Actor) -> tuple[int, ...]:
    """The unreviewed releases that this person may review now, oldest first (L7).

    Their own work is excluded under every policy.
    """
    return _theirs(view, actor, unreviewed(view, actor), view.lists.approved_unreviewed, solo=False)


def _theirs(
    view: View,
    actor: Actor,
    waiting: Sequence[Waits],
    approved: Callable[[str], frozenset[int]],
    *,
    solo: bool = True,
) -> tuple[int, ...]:
    """Those of `waiting` about which this person's word counts and is not given yet.

    `approved` says what an identity approved; `solo`: also on their own work, where a policy says so.
    """
    if not waiting or actor.person is None:
        return ()
    person = view.people.get(actor.person)
    if not _is_heard(person):
        return ()
    revisions = view.policies.some({one.policy_id for one in waiting if one.policy_id is not None})
    policies: dict[int | None, Policy] = {None: Policy()}
    policies.update((number, revision.body or Policy()) for number, revision in revisions.items())
    roles = roles_on(view, view.people.grants(person.id), {one.version_id for one in waiting})
    teams = view.people.team_names(person.id)
    # There are thousands of requests, but few policies and roles.
    counts = {
        (number, role): _admits(policy, Standing(identity=person.identity, name=person.name, role=role, teams=teams))
        for number, policy in policies.items()
        for role in set(roles.values())
    }
    able = [one for one in waiting if counts[one.policy_id, roles[one.version_id]]]
    if not able:
        return ()
    alone = {number for number, policy in policies.items() if solo and policy.approvals == "solo"}
    own = own_work(view, person, [one for one in able if one.policy_id not in alone])
    spent = own | approved(person.identity)
    return tuple(one.id for one in able if one.id not in spent)


def _is_heard(person: Person) -> bool:
    return person.kind is PersonKind.HUMAN and person.disabled_at is None


def _admits(policy: Policy, standing: Standing) -> bool:
    return standing.role is not None and policy.parsed_quorum.admits(standing)
