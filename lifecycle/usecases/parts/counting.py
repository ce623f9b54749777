"""Counting approvals: one counts while its giver may still give it (L6), and the request's state follows (L8)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lifecycle.domain.hands import as_one
from lifecycle.domain.model import Frozen
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Approved, Decision, Promotion, Reopened, Said, State, Verdict
from lifecycle.domain.quorum import Standing
from lifecycle.domain.roles import Role
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.parts.access import target_of
from lifecycle.usecases.parts.contributors import contributors
from lifecycle.usecases.parts.deciding import policy_of
from lifecycle.usecases.parts.outbox import tell

_AT_ONCE = 1_000


class Approval(Frozen):
    """An approval of the plan with its giver as they are now. `lapsed` says why it no longer counts.

    `one_with` names others who approved and count as the same person: one gave another a credential.
    """

    decision: Decision
    standing: Standing
    own_work: bool
    lapsed: str = ""
    one_with: tuple[str, ...] = ()


def approvals(view: View, promotion: Promotion) -> tuple[Approval, ...]:
    """Every approval of this very plan, oldest first; of a request that is over, as it was when it was given."""
    given = [
        one
        for one in view.promotions.decisions(promotion.id)
        if one.verdict is Verdict.APPROVE and one.plan_digest == promotion.plan_digest
    ]
    if not given:
        return ()
    if promotion.state.is_terminal:
        return tuple(Approval(decision=one, standing=_then(view, one), own_work=one.own_work) for one in given)
    pipeline = view.pipelines.get(promotion.pipeline_id)
    version = view.pipelines.version(promotion.version_id)
    target = target_of(view, pipeline, version)
    known = contributors(view, pipeline, version, promotion.target, promotion.requested_by)
    policy = policy_of(view, promotion)
    found: list[Approval] = []
    for one in given:
        person = view.people.get(one.person)
        standing = view.people.standing(person, target)
        # Who got hold of the account later did not give this approval.
        own = known.why_not(person, one.at) or ("contributed to what would be released" if one.own_work else "")
        own_work = bool(own)
        why = _lapsed(policy, standing, disabled=person.disabled_at is not None, own_work=own)
        found.append(Approval(decision=one, standing=standing, own_work=own_work, lapsed=why))
    people = [view.people.get(one.person) for one in given]
    voices = [known.voices(person, one.at) for person, one in zip(people, given, strict=True)]
    distinct = as_one([(one.standing, voice) for one, voice in zip(found, voices, strict=True)])
    together: dict[str, list[str]] = {}
    for standing in distinct:
        together.setdefault(standing.identity, []).append(standing.name)
    return tuple(
        one.model_copy(
            update={
                "standing": standing,
                "one_with": tuple(name for name in together[standing.identity] if name != standing.name),
            }
        )
        for one, standing in zip(found, distinct, strict=True)
    )


def said(view: View, promotion: Promotion) -> tuple[Said, ...]:
    """All decisions, oldest first, each with whether it still counts."""
    found = {one.decision.id: one for one in approvals(view, promotion)}
    answer: list[Said] = []
    for one in view.promotions.decisions(promotion.id):
        known = found.get(one.id)
        now = {"lapsed": known.lapsed, "one_with": known.one_with} if known else {}
        answer.append(Said.model_validate({**one.model_dump(), **now}))
    return tuple(answer)


def counted(found: Iterable[Approval], *, own_work: bool) -> list[Standing]:
    """The givers of those that count; without `own_work`, only independent people."""
    return [one.standing for one in found if not one.lapsed and (own_work or not one.own_work)]


def quorum_is_met(view: View, promotion: Promotion) -> bool:
    """Whether the approvals that count now fill the quorum of the policy that the request was made under."""
    policy = policy_of(view, promotion)
    return policy.parsed_quorum.met_by(counted(approvals(view, promotion), own_work=policy.approvals == "solo"))


def needs_quorum(promotion: Promotion) -> bool:
    """Whether executing it takes approvals: broken glass and rollbacks take none, nor does QA."""
    return promotion.target.governed and promotion.plan.kind == "promote"


def approve_if_met(unit: Unit, promotion: Promotion) -> Promotion:
    """REQUESTED → APPROVED when the quorum is met."""
    if not quorum_is_met(unit, promotion):
        return promotion
    after = unit.promotions.change(promotion, Approved(at=unit.now))
    unit.audit("promotion.approved", f"promotion:{promotion.id}", plan=promotion.plan_digest)
    tell(unit, "promotion.approved", unit.pipelines.get(promotion.pipeline_id).name, promotion=promotion.id)
    return after


def reopen(unit: Unit, promotion: Promotion) -> tuple[Promotion, str]:
    """Back to REQUESTED, with why. Raises Conflict while somebody executes it."""
    names = {one.decision.person: one.lapsed for one in approvals(unit, promotion) if one.lapsed}
    lines = [f"the approval by {unit.people.get(person).name} lapsed: {why}" for person, why in names.items()]
    why = "; ".join(lines) or f"the quorum ({policy_of(unit, promotion).quorum}) is not met"
    after = unit.promotions.change(promotion, Reopened(now=unit.now))
    unit.audit("promotion.lapsed", f"promotion:{promotion.id}", reason=why)
    name = unit.pipelines.get(promotion.pipeline_id).name
    tell(unit, "promotion.lapsed", name, promotion=promotion.id, reason=why)
    return after, why


def recount_all(unit: Unit) -> None:
    """After a change of what people may do: the state of every open request follows its approvals."""
    for promotion in with_approvals(unit):
        recount(unit, promotion)


def recount(unit: Unit, promotion: Promotion) -> None:
    """Approves or reopens a request, where its state is not what its approvals say."""
    if not needs_recount(unit, promotion):
        return
    if promotion.state is State.REQUESTED:
        approve_if_met(unit, promotion)
    else:
        reopen(unit, promotion)


def with_approvals(view: View) -> tuple[Promotion, ...]:
    """The open requests that somebody approved."""
    found: Sequence[Promotion] = view.promotions.list(states=[State.REQUESTED, State.APPROVED], limit=_AT_ONCE)
    some = view.promotions.approvers([one.id for one in found])
    return tuple(one for one in found if one.id in some and needs_quorum(one))


def needs_recount(view: View, promotion: Promotion) -> bool:
    """Whether the state of a request is not what its approvals say: some lapsed, or count again."""
    if not promotion.state.is_open or promotion.expires_at <= view.now:
        return False
    return quorum_is_met(view, promotion) is not (promotion.state is State.APPROVED)


def _lapsed(policy: Policy, standing: Standing, *, disabled: bool, own_work: str) -> str:
    if disabled:
        return "the account is disabled"
    if standing.role is None:
        return "they no longer have a role on this pipeline"
    if not policy.parsed_quorum.admits(standing):
        return f"they no longer count towards the quorum ({policy.quorum})"
    if own_work and policy.approvals != "solo":
        return f"they {own_work}" if own_work.startswith("contributed") else own_work
    return ""


def _then(view: View, decision: Decision) -> Standing:
    return Standing(
        identity=decision.identity,
        name=view.people.get(decision.person).name,
        role=Role(decision.role) if decision.role else None,
        teams=decision.teams,
    )
