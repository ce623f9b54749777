"""What a policy means here and now: in words, for whom, when, and what changes with another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from lifecycle.app.kit.policy_words import policy_words
from lifecycle.domain.environment import Environment
from lifecycle.domain.four_eyes import eligibility
from lifecycle.domain.people import Actor, Person, Target
from lifecycle.domain.policy import Policy, PolicyRevision, says_the_same
from lifecycle.domain.promotion import Promotion, State
from lifecycle.domain.version import Pipeline
from lifecycle.domain.windows import Window, closed_now
from lifecycle.store.unit import View
from lifecycle.usecases.parts.access import target_of
from lifecycle.usecases.parts.visible import sees, sees_everything

AHEAD = timedelta(days=14)
NOTHING = ("No policy: nothing can be promoted here until an Admin sets one.",)
_MOST = 30


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A window, once."""

    name: str
    effect: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a policy would do. `alone` are people whose own requests nobody could approve."""

    words: tuple[str, ...]
    gone: tuple[str, ...]
    came: tuple[str, ...]
    approvers: tuple[str, ...]
    excluded: tuple[tuple[str, str], ...]
    reachable: bool
    alone: tuple[str, ...]
    closed: str | None
    occurrences: tuple[Occurrence, ...]
    stale: tuple[tuple[Promotion, str], ...]
    solo: bool
    governed: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """A policy's place, with what was set last there and who set it."""

    environment: Environment
    pipeline: str | None
    revision: PolicyRevision | None
    words: tuple[str, ...]
    by: str
    solo: bool


def words_in(environment: Environment, policy: Policy | None) -> tuple[str, ...]:
    """A policy in words, as far as this environment reads it."""
    if environment.governed:
        return NOTHING if policy is None else policy_words(policy)
    usual = Policy()
    read = policy or usual
    only = Policy(fence=read.fence, schedules=read.schedules, on_promote=read.on_promote)
    extra = [line for line in policy_words(only) if line not in policy_words(usual)]
    starts = [] if read.schedules is not None else ["Schedules do not run here."]
    return ("Needs no approval: anyone who may promote can do so.", *extra, *starts)


def meaning(
    view: View,
    environment: Environment,
    pipeline: Pipeline | None,
    policy: Policy | None,
    present: Policy | None,
    *,
    saved: bool = False,
) -> Meaning:
    """What `policy` would mean in place of `present`. `policy` None: removed.

    `saved`: it would be saved for this scope, where what is set already makes no request stale.
    """
    own = view.policies.revision(environment, pipeline.id if pipeline else None) if saved else None
    kept = own is not None and says_the_same(own.body, policy)
    words, before = words_in(environment, policy), words_in(environment, present)
    governed = environment.governed
    target = target_of(view, pipeline) if pipeline else Target()
    approvers: tuple[str, ...] = ()
    excluded: dict[str, str] = {}
    reachable, alone = True, ()
    if policy is not None and governed:
        everybody = view.people.standings(target)
        solo = policy.approvals == "solo"
        able = eligibility(policy.parsed_quorum, everybody, lambda _: "", solo=solo)
        approvers, excluded = tuple(one.name for one in able.may_approve), able.excluded
        reachable = able.reachable
        if reachable and not solo:
            alone = tuple(
                one.name
                for one in able.may_approve
                if not eligibility(policy.parsed_quorum, everybody, _but(one.identity), solo=False).reachable
            )
    windows = policy.windows if policy is not None and governed else ()
    closed = closed_now(windows, view.now)
    return Meaning(
        words=words,
        gone=tuple(line for line in before if line not in words),
        came=tuple(line for line in words if line not in before),
        approvers=approvers,
        excluded=tuple(excluded.items()),
        reachable=reachable,
        alone=alone,
        closed=closed.why if closed else None,
        occurrences=ahead(windows, view.now),
        stale=would_be_stale(view, environment, pipeline) if governed and not kept else (),
        solo=policy is not None and policy.approvals == "solo",
        governed=governed,
    )


def _but(identity: str) -> Callable[[Person], str]:
    return lambda person: "contributed to what would be released" if person.identity == identity else ""


def ahead(windows: tuple[Window, ...], now: datetime) -> tuple[Occurrence, ...]:
    """When windows are open within the next AHEAD, the one that is open now first."""
    found: list[Occurrence] = []
    for window in windows:
        end = window.ends(now)
        if end is not None:
            found.append(Occurrence(window.name, window.effect, now, end))
        coming = (one for one in window.occurrences(now, now + AHEAD) if now < one[0] <= now + AHEAD)
        found += [Occurrence(window.name, window.effect, start, over) for start, over in islice(coming, _MOST)]
    return tuple(sorted(found, key=lambda one: one.start)[:_MOST])


def would_be_stale(
    view: View, environment: Environment, pipeline: Pipeline | None
) -> tuple[tuple[Promotion, str], ...]:
    """Open requests whose plan names the policy that would be replaced, with their pipelines' names.

    A plan names the revision: a pipeline's own that says the same as the environment's also makes them stale.
    """
    waiting = view.promotions.list(
        states=[State.REQUESTED, State.APPROVED],
        target=environment,
        pipeline_id=pipeline.id if pipeline else None,
        limit=1_000,
    )
    if pipeline is None:
        own = {one.pipeline_id for one in view.policies.newest() if one.environment is environment and one.body}
        waiting = tuple(one for one in waiting if one.pipeline_id not in own)
    names = view.pipelines.living_names({one.pipeline_id for one in waiting})
    return tuple((one, names[one.pipeline_id]) for one in waiting if one.pipeline_id in names)


def scopes(view: View, actor: Actor) -> tuple[tuple[Scope, ...], tuple[Scope, ...]]:
    """The environments' policies in their order, and the pipelines' own that the actor may see, by name."""
    newest = view.policies.newest()
    setters = {person.id: person.name for person in view.people.all()}
    names = view.pipelines.living_names({one.pipeline_id for one in newest if one.pipeline_id is not None})
    general = {one.environment: one for one in newest if one.pipeline_id is None}
    environments = tuple(
        scope_of(environment, None, general.get(environment), setters)
        for environment in Environment
        if environment is not Environment.DEVELOPMENT
    )
    everything = sees_everything(view, actor)
    own = [
        scope_of(one.environment, names[one.pipeline_id], one, setters)
        for one in newest
        if one.pipeline_id in names and one.body is not None and (everything or sees(view, actor, one.pipeline_id))
    ]
    return environments, tuple(sorted(own, key=lambda one: (one.pipeline or "", one.environment.rank)))


def scope_of(
    environment: Environment, pipeline: str | None, revision: PolicyRevision | None, setters: Mapping[int, str]
) -> Scope:
    """A policy's place in words."""
    body = revision.body if revision else None
    by = "" if revision is None else setters.get(revision.set_by or 0, "first start")
    return Scope(
        environment, pipeline, revision, words_in(environment, body), by, bool(body and body.approvals == "solo")
    )
