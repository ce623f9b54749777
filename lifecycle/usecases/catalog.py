"""The catalogue: the pipelines that somebody may see, found by name, owner, tag and where they are active."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor, ScopeKind, Target, common_tags, role_on
from lifecycle.store.repositories.overview import Head
from lifecycle.store.unit import View


@dataclass(frozen=True, slots=True)
class Facts:
    """What lists show of a definition."""

    description: str
    owners: tuple[str, ...]
    tags: dict[str, str]


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


def catalog(view: View, actor: Actor, search: Search = Search()) -> tuple[Head, ...]:
    """By name; only what a grant of the actor reaches."""
    heads = _visible(view, actor, view.overview.heads())
    if search.environment is not None:
        active = view.overview.active_in(search.environment)
        heads = [head for head in heads if head.id in active]
    if search.asks_definitions:
        facts = facts_of(view, [head.digest for head in heads])
        heads = [head for head in heads if _fits(head.name, facts[head.digest], search)]
    return tuple(heads)


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


def _visible(view: View, actor: Actor, heads: Sequence[Head]) -> Sequence[Head]:
    """The rule of `visible.sees`, for many: tags count only where every version concerned has them."""
    grants = view.people.grants(actor.person or 0)
    if any(grant.scope is ScopeKind.EVERYTHING for grant in grants):
        return heads
    if not any(grant.scope is ScopeKind.TAG for grant in grants):
        return [head for head in heads if role_on(grants, Target(pipeline=head.name)) is not None]
    governed = view.overview.governed_digests()
    concerned = {head.id: (head.digest, *governed.get(head.id, ())) for head in heads}
    facts = facts_of(view, [digest for digests in concerned.values() for digest in digests])

    def target(head: Head) -> Target:
        return Target(pipeline=head.name, tags=common_tags(facts[digest].tags for digest in concerned[head.id]))

    return [head for head in heads if role_on(grants, target(head)) is not None]


def _fits(name: str, facts: Facts, search: Search) -> bool:
    text = search.text.casefold()
    words = (name, facts.description, *facts.owners, *(f"{key}={value}" for key, value in facts.tags.items()))
    key, _, value = search.tag.partition("=")
    return (
        (not text or any(text in word.casefold() for word in words))
        and (not search.owner or search.owner in facts.owners)
        and (not search.tag or (key in facts.tags and value in ("", facts.tags[key])))
    )
