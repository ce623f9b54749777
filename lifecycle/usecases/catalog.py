"""The catalogue: the pipelines that somebody may see, found by name, owner, tag and where they are active."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.store.repositories.overview import Head
from lifecycle.store.unit import View
from lifecycle.usecases.parts.visible import visible_ids


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
    only = visible_ids(view, actor)
    heads = [head for head in view.overview.heads() if only is None or head.id in only]
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


def _fits(name: str, facts: Facts, search: Search) -> bool:
    text = search.text.casefold()
    words = (name, facts.description, *facts.owners, *(f"{key}={value}" for key, value in facts.tags.items()))
    key, _, value = search.tag.partition("=")
    return (
        (not text or any(text in word.casefold() for word in words))
        and (not search.owner or search.owner in facts.owners)
        and (not search.tag or (key in facts.tags and value in ("", facts.tags[key])))
    )
