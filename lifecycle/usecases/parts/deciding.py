"""What approve and reject share: eligibility, the recorded decision, the quorum."""

from __future__ import annotations

from datetime import datetime

from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor, Person, PersonKind
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Promotion, State, Verdict
from lifecycle.domain.quorum import Standing
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Pipeline, Version
from lifecycle.errors import Conflict, Forbidden
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.parts.access import require, require_human, target_of
from lifecycle.usecases.parts.contributors import contributors


def policy_of(view: View, promotion: Promotion) -> Policy:
    """The policy revision that the request was made under."""
    revision = view.policies.get(promotion.policy_id) if promotion.policy_id is not None else None
    return (revision and revision.body) or Policy()


def check_fresh(promotion: Promotion, plan_digest: str, if_revision: int | None) -> None:
    """Raises Conflict when the person looked at another plan, or at an older state."""
    if plan_digest != promotion.plan_digest:
        raise Conflict(f"request {promotion.id} has a different plan than the one you reviewed; review it again")
    if if_revision is not None and if_revision != promotion.revision:
        raise Conflict(f"request {promotion.id} is now {promotion.state.value}; review it again, then decide")


def check_waiting(promotion: Promotion, now: datetime) -> None:
    """Raises Conflict when the request can no longer be approved."""
    if promotion.state is not State.REQUESTED:
        raise Conflict(f"request {promotion.id} is {promotion.state.value} and can no longer be approved")
    if promotion.expires_at <= now:
        raise Conflict(f"request {promotion.id} expired; refresh it")


def check_open(promotion: Promotion, doing: str) -> None:
    """Raises Conflict when the request is executed or over and can no longer be `doing` (rejected, withdrawn)."""
    if not promotion.state.is_open:
        raise Conflict(f"request {promotion.id} is {promotion.state.value} and can no longer be {doing}")


class Voice(Frozen):
    """A person who may decide about a request, in relation to it."""

    person: Person
    standing: Standing
    policy: Policy
    own_work: bool


def require_voice(view: View, actor: Actor, promotion: Promotion, verdict: Verdict) -> Voice:
    """Who acts, when this verdict is theirs to give. Raises Forbidden with the reason when it is not."""
    pipeline = view.pipelines.get(promotion.pipeline_id)
    version = view.pipelines.version(promotion.version_id)
    scope = target_of(view, pipeline, version)
    doing = "approving a promotion" if verdict is Verdict.APPROVE else "rejecting a promotion"
    person = require(view, actor, Role.VIEWER, scope, doing)
    require_human(person, doing)
    policy = policy_of(view, promotion)
    standing = view.people.standing(person, scope)
    known = contributors(view, pipeline, version, promotion.target, promotion.requested_by)
    why = known.why_not(person, view.now)
    if not policy.parsed_quorum.admits(standing):
        raise Forbidden(f"request {promotion.id} must be decided by {policy.quorum}; ask one of them")
    if why and verdict is Verdict.APPROVE and policy.approvals != "solo":
        said = why.replace("what would be released", f"what request {promotion.id} would release")
        whose = f"{person.name} {said} and" if why.startswith("contributed") else f"{said}, so {person.name}"
        other = who_else(view, promotion, pipeline, version, policy)
        raise Forbidden(f"{whose} cannot approve it; ask {other}")
    return Voice(person=person, standing=standing, policy=policy, own_work=bool(why))


def record_decision(
    unit: Unit, promotion: Promotion, verdict: Verdict, reason: str, plan_digest: str
) -> tuple[Person, Policy]:
    """Adds the acting person's decision. Raises Forbidden with the reason when it is not theirs to give."""
    voice = require_voice(unit, unit.actor, promotion, verdict)
    standing = voice.standing
    unit.promotions.add_decision(
        promotion_id=promotion.id,
        person=voice.person.id,
        identity=standing.identity,
        verdict=verdict.value,
        reason=reason,
        role=standing.role.value if standing.role else "",
        teams=list(standing.teams),
        own_work=voice.own_work,
        plan_digest=plan_digest,
    )
    unit.audit(
        f"promotion.{'approved' if verdict is Verdict.APPROVE else 'rejected'}_by",
        f"promotion:{promotion.id}",
        plan=plan_digest,
        reason=reason,
        own_work=voice.own_work,
    )
    return voice.person, voice.policy


def who_else(view: View, promotion: Promotion, pipeline: Pipeline, version: Version, policy: Policy) -> str:
    """The names of who may approve, for messages."""
    known = contributors(view, pipeline, version, promotion.target, promotion.requested_by)
    scope = target_of(view, pipeline, version)
    names = [
        person.name
        for person, standing in view.people.standings(scope)
        if person.kind is PersonKind.HUMAN
        and person.disabled_at is None
        and not known.why_not(person, view.now)
        and policy.parsed_quorum.admits(standing)
    ]
    return " or ".join(names[:5]) or "an Admin to grant someone else the role"
