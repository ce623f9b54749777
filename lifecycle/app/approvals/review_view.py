"""A request as its reviewers see it: its state, who decides, what they may do, and what happened so far."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lifecycle.app.approvals.present import Present
from lifecycle.app.kit.policy_words import policy_words, who_words
from lifecycle.app.kit.words import NAMES
from lifecycle.domain.four_eyes import contributor_identities
from lifecycle.domain.newer_runs import NewerRuns
from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Promotion, State, Verdict
from lifecycle.domain.readiness import Waiting
from lifecycle.domain.version import Label
from lifecycle.store.unit import View
from lifecycle.usecases.compare_plan import waiting_of
from lifecycle.usecases.newer_runs import runs_since
from lifecycle.usecases.offers import Offers, offers
from lifecycle.usecases.parts.contributors import Release, work_of
from lifecycle.usecases.parts.counting import approvals, counted
from lifecycle.usecases.parts.counting import said as said_to
from lifecycle.usecases.parts.deciding import policy_of
from lifecycle.usecases.parts.plan_facts import who_may_approve
from lifecycle.usecases.pending import may_decide, pending_ids
from lifecycle.usecases.unreviewed import REVIEWED

_PROCEEDS = (State.EXECUTING, State.FAILED, State.DONE)


@dataclass(frozen=True, slots=True)
class SeatLine:
    """One part of the quorum: `filled` of `count` are there."""

    who: str
    filled: int
    count: int
    names: tuple[str, ...]

    @property
    def full(self) -> bool:
        return self.filled == self.count


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """What somebody said, with what they were at that moment."""

    name: str
    verdict: str
    reason: str
    role: str
    at: datetime
    mine: bool
    own_work: bool
    lapsed: str = ""
    one_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the execution; `look` is one of the looks of a state."""

    text: str
    look: str
    word: str


@dataclass(frozen=True, slots=True)
class Review:
    """Everything about a request that changes while people look at it."""

    promotion: Promotion
    asked_by: str
    seats: tuple[tuple[SeatLine, ...], ...]
    decisions: tuple[DecisionLine, ...]
    may: tuple[str, ...]
    may_not: dict[str, str]
    own_work: tuple[str, ...]
    offers: Offers
    waiting: Waiting | None
    steps: tuple[Step, ...]
    policy: tuple[str, ...]
    unreviewed: bool
    review_due: bool
    refreshed_by: int | None
    next_id: int | None
    waiting_count: int
    pending: int
    present: Present
    newer: NewerRuns

    @property
    def mine(self) -> DecisionLine | None:
        """What the visitor said already."""
        return next((line for line in self.decisions if line.mine), None)

    @property
    def can_approve(self) -> bool:
        return not self.offers.approve and not self.present.is_stale and self.mine is None

    @property
    def checks(self) -> tuple[tuple[bool, str], ...]:
        """Why the visitor can, or cannot, approve now."""
        lines = [(False, text) for text in self.offers.approve] or [
            (True, "it is waiting for an approval you may give")
        ]
        found = self.present.comparison
        if found is not None and self.promotion.state.is_open:
            stale = f"the plan has changed, so approving would end the request as stale: {found.outcome}"
            lines.append((False, stale) if found.outcome else (True, "the plan is current"))
        return tuple(lines)

    @property
    def says(self) -> str:
        """Its state in a line, to be read out whenever that changes."""
        parts = [f"request {self.promotion.id} is {self.promotion.state.value}"]
        if self.decisions:
            parts.append(f"{self.decisions[-1].name} {self.decisions[-1].verdict}")
        parts += [f"the approval by {line.name} lapsed" for line in self.decisions if line.lapsed]
        if self.promotion.state.is_open and self.present.is_stale:
            parts.append("its plan is stale")
        if self.newer.failed:
            parts.append(self.newer.warning)
        if self.waiting is not None:
            parts.append(f"it is waiting: {self.waiting.why}")
        if self.promotion.state is State.EXECUTING:
            parts.append(next((step.text for step in self.steps if step.word == "now"), "it starts"))
        return "; ".join(parts)

    @property
    def key(self) -> str:
        """Another one whenever the visitor may do something else than before."""
        may = (self.checks, self.offers, self.waiting)
        what = (self.promotion.revision, *may, self.mine, self.review_due, self.next_id)
        return hashlib.sha256(repr(what).encode()).hexdigest()[:16]


def review(view: View, actor: Actor, promotion: Promotion, present: Present) -> Review:
    """Reads what the store knows; `present` is how the plan compares with the data."""
    policy = policy_of(view, promotion)
    pipeline = view.pipelines.get(promotion.pipeline_id)
    version = view.pipelines.version(promotion.version_id)
    governed = promotion.target.governed
    revision = view.policies.get(promotion.policy_id) if promotion.policy_id is not None else None
    who = None
    if promotion.state is State.REQUESTED:
        who = who_may_approve(
            view, pipeline, version, promotion.target, policy=revision, requester=promotion.requested_by
        )
    said = counted(approvals(view, promotion), own_work=policy.approvals == "solo")
    pending = pending_ids(view, actor)
    others = [one for one in pending if one != promotion.id]
    unreviewed = _label(view, promotion) is Label.UNREVIEWED
    return Review(
        promotion=promotion,
        asked_by=_name(view, promotion.requested_by),
        seats=tuple(
            tuple(SeatLine(who_words(one.clause), len(one.names), one.clause.count, one.names) for one in seats)
            for seats in (policy.parsed_quorum.seated(said) if governed and revision else ())
        ),
        decisions=tuple(_decisions(view, actor, promotion)),
        may=may_decide(view, promotion),
        may_not=who.excluded if who else {},
        own_work=tuple(_own_work(view, actor, promotion)) if governed else (),
        offers=offers(view, actor, promotion),
        waiting=_waiting(view, promotion),
        steps=tuple(_steps(view, promotion)),
        policy=policy_words(policy) if revision else (),
        unreviewed=unreviewed,
        review_due=unreviewed and promotion.plan.kind != "rollback" and not _reviewed(view, promotion),
        refreshed_by=next(
            (one.id for one in view.promotions.of_versions([version.id]) if one.refresh_of == promotion.id), None
        ),
        next_id=next((one for one in others if one > promotion.id), others[0] if others else None),
        waiting_count=len(others),
        pending=len(pending),
        present=present,
        newer=runs_since(view, promotion) if not promotion.state.is_terminal else NewerRuns(),
    )


def _name(view: View, person: int | None) -> str:
    return view.people.get(person).name if person is not None else "the system"


def _label(view: View, promotion: Promotion) -> Label | None:
    if promotion.state is not State.DONE:
        return None
    history = view.deployments.history(promotion.pipeline_id, promotion.target)
    return next((one.label for one in history if one.promotion_id == promotion.id), None)


def _reviewed(view: View, promotion: Promotion) -> bool:
    return bool(view.log.search(subject=f"promotion:{promotion.id}", verb=REVIEWED, limit=1))


def _decisions(view: View, actor: Actor, promotion: Promotion) -> Iterable[DecisionLine]:
    for one in said_to(view, promotion):
        yield DecisionLine(
            name=_name(view, one.person),
            verdict="approved" if one.verdict is Verdict.APPROVE else "rejected",
            reason=one.reason,
            role=", ".join([one.role, *(f"team {team}" for team in one.teams)]),
            at=one.at,
            mine=one.person == actor.person,
            own_work=one.own_work,
            lapsed=one.lapsed,
            one_with=one.one_with,
        )


def _own_work(view: View, actor: Actor, promotion: Promotion) -> Iterable[str]:
    """What of this release is the visitor's own work, in words."""
    if actor.person is None:
        return
    people = {person.id: person for person in view.people.all()}
    me = people[actor.person].identity
    version = view.pipelines.version(promotion.version_id)
    release = Release(pipeline_id=promotion.pipeline_id, version_id=version.id, target=promotion.target)
    work = work_of(view, release)
    saved = {one.version_id for one in work.saved if me in contributor_identities([one], people)}
    if version.id in saved:
        yield "you wrote this version"
    if earlier := sorted(view.pipelines.version(one).number for one in saved - {version.id}):
        yield f"you wrote version {', '.join(map(str, earlier))}, which it builds on"
    mine = [one for one in work.asked if me in {people[p].identity for p in (one.requested_by, one.acted_for) if p}]
    if any(one.id == promotion.id for one in mine):
        yield "you requested this promotion"
    elif mine:
        yield "you requested an earlier promotion of its changes"


def _waiting(view: View, promotion: Promotion) -> Waiting | None:
    if promotion.state.is_open:
        return waiting_of(view, promotion)
    if promotion.state is State.EXECUTING and promotion.lease_until is None:
        live = view.runs.live_permits(promotion.pipeline_id, promotion.target)
        if live:
            return Waiting(why=f"a run is publishing {live[0].table_name}", until=live[0].lease_until)
    return None


def _steps(view: View, promotion: Promotion) -> Iterable[Step]:
    journal = view.promotions.journal(promotion.id)
    if promotion.state not in _PROCEEDS and not journal:
        return
    over = promotion.state is State.DONE
    broken = promotion.state is not State.EXECUTING and not over
    compared = over or bool(journal)
    yield _step("checking whether the plan is current", done=compared, now=not compared, broken=broken)
    for table in promotion.plan.tables:
        if table.candidate is None:
            continue
        state = journal.get(table.table)
        text = f"{table.table}: {promotion.target.ref} moves to snapshot {table.candidate}"
        if state == "undone":
            yield Step(text, "stale", "undone")
        else:
            moved = state == "moved"
            yield _step(text, done=moved, now=state == "intended", broken=broken)
    active = f"version {promotion.plan.version} is active in {NAMES[promotion.target]}"
    yield _step(active, done=over, now=False, broken=False)


def _step(text: str, *, done: bool, now: bool, broken: bool) -> Step:
    if done:
        return Step(text, "approved", "done")
    if now:
        return Step(text, "rejected", "stopped") if broken else Step(text, "running", "now")
    return Step(text, "draft", "not yet")
