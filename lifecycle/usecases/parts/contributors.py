"""Contributors: whose work a release would be, whoever's hands it went through, and who is independent (L6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lifecycle.domain.content import Fragments, fragments, introduced
from lifecycle.domain.environment import Environment
from lifecycle.domain.four_eyes import accounts_behind, contributor_identities, versions_since
from lifecycle.domain.hands import Hands, behind
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Person
from lifecycle.domain.promotion import Ask, Waits
from lifecycle.domain.version import Contribution, Pipeline, Version
from lifecycle.store.unit import View


class Release(Frozen):
    """What would go where: a version of a pipeline to `target`."""

    pipeline_id: int
    version_id: int
    target: Environment


class Work(Frozen):
    """What a release would bring: how its versions came to be saved, and who asked for any of them before."""

    saved: tuple[Contribution, ...]
    asked: tuple[Ask, ...]


@dataclass(frozen=True, slots=True)
class Contributors:
    """`identities` are those of everybody whose work it is; the first of it began at `since`."""

    identities: frozenset[str]
    since: datetime
    people: Mapping[int, Person]
    hands: Hands

    def why_not(self, person: Person, at: datetime) -> str:
        """Why an approval by this account at `at` is not independent; empty where it is."""
        if person.identity in self.identities:
            return "contributed to what would be released"
        for other, hand in behind(person.id, self.hands, self.since, at).items():
            if self.people[other].identity in self.identities:
                did = hand.did(self.people[hand.account].name)
                return f"{self.people[other].name}, who contributed to what would be released, {did}"
        return ""

    def voices(self, person: Person, at: datetime) -> frozenset[str]:
        """The identities that may speak through this account at `at`, its owner's first of all."""
        others = behind(person.id, self.hands, self.since, at)
        return frozenset({person.identity, *(self.people[other].identity for other in others)})


def work_of(view: View, release: Release) -> Work:
    """The work of every version that a release brings beyond what is active in its target (L6)."""
    return _works(view, [release])[0]


def contributors(
    view: View, pipeline: Pipeline, version: Version, target: Environment, requester: int | None = None
) -> Contributors:
    """Whose work a release of `version` to `target` would be (L6)."""
    release = Release(pipeline_id=pipeline.id, version_id=version.id, target=target)
    people = {person.id: person for person in view.people.all()}
    return _contributors(people, view.people.hands(), view.now, work_of(view, release), (version.id, requester))


def own_work(view: View, person: Person, asked: Sequence[Waits]) -> frozenset[int]:
    """Which of these requests would release this person's own work: whose `contributors` say why they may not (L6).

    As few queries for many as for one, and little for those who contributed little.
    """
    people = {one.id: one for one in view.people.all()}
    hands = view.people.hands()
    mine = _accounts(person, people, hands)
    touched = {*view.pipelines.saved_by(mine), *view.lists.asked_by(mine)}
    pipelines = {pipeline_id for pipeline_id, _ in touched}
    left = [one for one in asked if one.pipeline_id in pipelines or one.requested_by in mine]
    if not left:
        return frozenset()
    releases = [Release(pipeline_id=one.pipeline_id, version_id=one.version_id, target=one.target) for one in left]
    return frozenset(
        one.id
        for one, work in zip(left, _works(view, releases), strict=True)
        if _contributors(people, hands, view.now, work, (one.version_id, one.requested_by)).why_not(person, view.now)
    )


def _contributors(
    people: Mapping[int, Person], hands: Hands, now: datetime, work: Work, asks: tuple[int, int | None]
) -> Contributors:
    """`asks`: the version that is asked for, and by whom."""
    version_id, requester = asks
    everything = [*work.saved, *(_as_contribution(ask) for ask in work.asked)]
    since = min((one.at for one in everything if one.at is not None), default=now)
    if requester is not None:
        everything.append(Contribution(version_id=version_id, parent_id=None, person=requester, acted_for=None, at=now))
    identities = contributor_identities(everything, people, hands, now)
    return Contributors(identities, since, people, hands)


def _works(view: View, releases: Sequence[Release]) -> list[Work]:
    """The work of each release, in few queries."""
    active = view.deployments.active_in({one.target for one in releases})
    pipelines = {one.pipeline_id for one in releases}
    parents = view.pipelines.parents(*pipelines)
    content = _content(view, pipelines)
    found = [_versions(one, active.get((one.pipeline_id, one.target)), parents, content) for one in releases]
    every = sorted({version for versions in found for version in versions})
    saved: dict[int, list[Contribution]] = {}
    for one in view.pipelines.contributions(every):
        saved.setdefault(one.version_id, []).append(one)
    asks: dict[int, list[Ask]] = {}
    for one in view.promotions.asks(every):
        asks.setdefault(one.version_id, []).append(one)
    return [
        Work(
            saved=tuple(one for version in sorted(versions) for one in saved.get(version, ())),
            asked=tuple(one for version in sorted(versions) for one in asks.get(version, ())),
        )
        for versions in found
    ]


def _versions(
    release: Release,
    active: int | None,
    parents: Mapping[int, frozenset[int]],
    content: Mapping[int, Mapping[int, Fragments]],
) -> frozenset[int]:
    """Those that it was saved on since the active one, and every other one whose content it brings."""
    chain = versions_since(release.version_id, active, parents)
    of_pipeline = content[release.pipeline_id]
    there = of_pipeline.get(active, frozenset()) if active is not None else frozenset[int]()
    new = of_pipeline[release.version_id] - there
    return chain | introduced(new, of_pipeline.keys() - chain, of_pipeline, parents)


# A digest says all of a definition, so what was read once for it stays true.
_known: dict[str, Fragments] = {}
_MOST_KNOWN = 20_000


def _content(view: View, pipeline_ids: Iterable[int]) -> dict[int, dict[int, Fragments]]:
    """By pipeline and version: what it consists of."""
    rows = view.pipelines.digests(pipeline_ids)
    missing = sorted({digest for _, _, digest in rows} - _known.keys())
    if len(_known) + len(missing) > _MOST_KNOWN:
        _known.clear()
        missing = sorted({digest for _, _, digest in rows})
    for digest, spec in view.pipelines.specs(missing).items():
        _known[digest] = fragments(spec)
    found: dict[int, dict[int, Fragments]] = {}
    for pipeline_id, version_id, digest in rows:
        found.setdefault(pipeline_id, {})[version_id] = _known[digest]
    return found


def _accounts(person: Person, people: Mapping[int, Person], hands: Hands) -> frozenset[int]:
    """The accounts whose work may be this person's, at any time: their own, and those tied to it by hands."""
    mine = accounts_behind(person.identity, people.values())
    ties = [(hand.account, hand.person) for given in hands.values() for hand in given]
    while True:
        identities = {people[one].identity for one in mine}
        wider = mine | {one for tie in ties if not mine.isdisjoint(tie) for one in tie}
        wider |= {one.id for one in people.values() if one.identity in identities or one.acts_for in mine}
        if wider == mine:
            return mine
        mine = frozenset(wider)


def _as_contribution(ask: Ask) -> Contribution:
    return Contribution(
        version_id=ask.version_id, parent_id=None, person=ask.requested_by, acted_for=ask.acted_for, at=ask.at
    )
