"""Who may see a table: whoever sees a pipeline that writes or reads it, in its newest version or one that is active.

A table of no pipeline is for people whose role is on everything. A table's copies for environments, such as
`flights__development.daily`, belong to the same pipelines as `flights.daily`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor, ScopeKind
from lifecycle.errors import NotFound
from lifecycle.store.unit import View
from lifecycle.usecases.parts.access import pipelines_reached
from lifecycle.usecases.parts.visible import visible_ids

_DOT = re.compile(r"\.")
_ENDINGS = tuple(f"__{environment.value}" for environment in Environment)


@dataclass(frozen=True, slots=True)
class Use:
    """A version of a pipeline that writes or reads a table. `active_in` is empty for one that is only the newest."""

    pipeline: str
    version: int
    active_in: tuple[Environment, ...]
    writes: bool


@dataclass(frozen=True, slots=True)
class SeenTables:
    """The tables that somebody may see: by real name, who uses each. `everything`: also those of no pipeline."""

    everything: bool
    uses: Mapping[str, tuple[Use, ...]]

    def may(self, name: str) -> bool:
        return self.everything or real_name(name) in self.uses

    def require(self, name: str) -> None:
        """Raises NotFound, as for a table that does not exist, for one that they may not see."""
        if not self.may(name):
            raise unknown_table(name)

    def of(self, name: str) -> tuple[Use, ...]:
        return self.uses.get(real_name(name), ())

    def writers(self, name: str) -> tuple[str, ...]:
        """The pipelines that write the table, as far as they see them."""
        return tuple(dict.fromkeys(use.pipeline for use in self.of(name) if use.writes))


def unknown_table(name: str) -> NotFound:
    """The same error for a table that does not exist and for one that the caller may not see."""
    shown = " ".join(name.split())[:200]
    return NotFound(
        f"there is no table {shown} that you may see; name its environment if a pipeline writes it, or list all: "
        "drls table list"
    )


def real_name(name: str) -> str:
    """The name that pipelines use, also for an environment's own copy of the table."""
    *outer, namespace, table = ["", *name.split(".")] if "." not in name else name.split(".")
    ending = next((one for one in _ENDINGS if namespace.endswith(one)), "")
    return ".".join([*outer, namespace.removesuffix(ending), table]) if ending else name


def namespace_of(name: str) -> str:
    """The namespace of a table's name, in which a part that has a dot is in double quotes."""
    at = 0
    for found in _DOT.finditer(name):
        if not name.count('"', 0, found.start()) % 2:
            at = found.start()
    return name[:at]


def environment_of(name: str) -> Environment:
    """Whose own the table is: `flights__qa.daily` is QA's; without such an ending it is production's."""
    real = real_name(name)
    ending = name.removeprefix(real.rpartition(".")[0]).partition(".")[0] if real != name else ""
    return Environment(ending.removeprefix("__")) if ending else Environment.PRODUCTION


def seen_tables(view: View, actor: Actor, *, uses: bool = True) -> SeenTables:
    """What the actor may see; for one that acts for somebody, only what that person sees as well.

    Without `uses`, those of somebody who sees everything are not looked up.
    """
    return view.once(("seen tables", actor.person, uses), lambda: _seen_tables(view, actor, uses))


def _seen_tables(view: View, actor: Actor, uses: bool) -> SeenTables:
    only = visible_ids(view, actor)
    person = view.people.get(actor.person or 0)
    if person.acts_for is not None:
        only = _both(only, _reached(view, person.acts_for))
    if only is None and not uses:
        return SeenTables(True, {})
    heads = [head for head in view.overview.heads() if only is None or head.id in only]
    live = view.overview.live_versions([head.id for head in heads])
    digests = {head.digest for head in heads} | {digest for found in live.values() for _, _, digest in found}
    known = tables_of(view, digests)
    found_uses: dict[str, list[Use]] = {}
    for head in heads:
        active: dict[int, list[Environment]] = {}
        versions = {head.number: head.digest}
        for environment, number, digest in sorted(live.get(head.id, ()), key=lambda one: one[0].rank):
            active.setdefault(number, []).append(environment)
            versions[number] = digest
        for number, digest in sorted(versions.items()):
            where = tuple(active.get(number, ()))
            for table, writes in known.get(digest, ()):
                found_uses.setdefault(table, []).append(Use(head.name, number, where, writes))
    return SeenTables(only is None, {table: tuple(found) for table, found in found_uses.items()})


def _reached(view: View, person_id: int) -> frozenset[int] | None:
    grants = view.people.grants(person_id)
    if any(grant.scope is ScopeKind.EVERYTHING for grant in grants):
        return None
    return pipelines_reached(view, grants)


def _both(one: frozenset[int] | None, other: frozenset[int] | None) -> frozenset[int] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


# A digest says all of a spec, so what was read once for it stays true. Each table, and whether it is written.
_known: dict[str, tuple[tuple[str, bool], ...]] = {}
_MOST_KNOWN = 50_000


def tables_of(view: View, digests: Iterable[str]) -> dict[str, tuple[tuple[str, bool], ...]]:
    """By digest of a version: each table that it uses, and whether it writes it."""
    wanted = sorted(digests)
    missing = [digest for digest in wanted if digest not in _known]
    if len(_known) + len(missing) > _MOST_KNOWN:
        _known.clear()
        missing = wanted
    for digest, text in view.pipelines.specs(missing).items():
        _known[digest] = _tables_in(json.loads(text))
    return {digest: _known[digest] for digest in wanted if digest in _known}


def _tables_in(spec: dict[str, Any]) -> tuple[tuple[str, bool], ...]:
    found: dict[tuple[str, bool], None] = {}
    for node in spec.get("nodes", ()):
        source = node.get("source", {})
        if node.get("type") == "sink":
            found[node["table"], True] = None
        elif node.get("type") == "source" and source.get("kind") == "iceberg":
            found[source["table"], False] = None
    return tuple(found)
