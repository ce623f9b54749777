"""The catalogue: the pipelines that somebody may see, found by name, owner, tag and where they are active."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor, ScopeKind, Target, common_tags, role_on
from lifecycle.store.repositories.overview import Head, Live
from lifecycle.store.unit import View


@dataclass(frozen=True, slots=True)
class Facts:
    """What lists show of a definition."""

    description: str
    owners: tuple[str, ...]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A pipeline with its newest version and what is active of it where."""

    head: Head
    live: dict[Environment, Live] = field(default_factory=dict[Environment, Live])

    @property
    def name(self) -> str:
        return self.head.name


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for; empty fields ask nothing. `tag` is `key` or `key=value`."""

    text: str = ""
    owner: str = ""
    tag: str = ""
    environment: Environment | None = None

    @property
    def asks_definitions(self) -> bool:
        return bool(self.text or self.owner or self.tag)


# A digest says all of a spec, so what was read once for it stays true.
_known: dict[str, Facts] = {}
_MOST_KNOWN = 50_000


def catalog(view: View, actor: Actor, search: Search = Search()) -> tuple[Entry, ...]:
    """By name; only what a grant of the actor reaches."""
    active: dict[int, dict[Environment, Live]] = {}
    for one in view.overview.live():
        active.setdefault(one.pipeline_id, {})[one.environment] = one
    entries = [Entry(head, active.get(head.id, {})) for head in view.overview.heads()]
    entries = _visible(view, actor, entries)
    if search.environment is not None:
        entries = [entry for entry in entries if search.environment in entry.live]
    if search.asks_definitions:
        facts = facts_of(view, [entry.head.digest for entry in entries])
        entries = [entry for entry in entries if _fits(entry.name, facts[entry.head.digest], search)]
    return tuple(entries)


def facts_of(view: View, digests: Sequence[str]) -> dict[str, Facts]:
    """What the definitions with these digests say; those not seen before are read in one go."""
    wanted = dict.fromkeys(digests)
    missing = [digest for digest in wanted if digest not in _known]
    if len(_known) + len(missing) > _MOST_KNOWN:
        _known.clear()
        missing = list(wanted)
    for digest, spec in view.overview.specs(missing).items():
        _known[digest] = _read(json.loads(spec))
    return {digest: _known[digest] for digest in wanted}


def _read(spec: dict[str, Any]) -> Facts:
    return Facts(spec.get("description", ""), tuple(spec.get("owners", ())), dict(spec.get("tags", {})))


def _visible(view: View, actor: Actor, entries: Sequence[Entry]) -> list[Entry]:
    """The rule of `visible.sees`, for many: tags count only where every version concerned has them."""
    grants = view.people.grants(actor.person or 0)
    if any(grant.scope is ScopeKind.EVERYTHING for grant in grants):
        return list(entries)
    tags: dict[str, Facts] = {}
    if any(grant.scope is ScopeKind.TAG for grant in grants):
        tags = facts_of(view, [digest for entry in entries for digest in _concerned(entry)])

    def target(entry: Entry) -> Target:
        common = common_tags(tags[digest].tags for digest in _concerned(entry)) if tags else {}
        return Target(pipeline=entry.name, tags=common)

    return [entry for entry in entries if role_on(grants, target(entry)) is not None]


def _concerned(entry: Entry) -> Iterable[str]:
    return (entry.head.digest, *(one.digest for where, one in entry.live.items() if where.governed))


def _fits(name: str, facts: Facts, search: Search) -> bool:
    text = search.text.casefold()
    words = (name, facts.description, *facts.owners, *(f"{key}={value}" for key, value in facts.tags.items()))
    key, _, value = search.tag.partition("=")
    return (
        (not text or any(text in word.casefold() for word in words))
        and (not search.owner or search.owner in facts.owners)
        and (not search.tag or (key in facts.tags and value in ("", facts.tags[key])))
    )
