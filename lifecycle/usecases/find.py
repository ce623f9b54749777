"""Find: pipelines, tables and assets by name, tag, owner and column, of what the actor may see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.store.repositories.overview import Head
from lifecycle.store.unit import View
from lifecycle.usecases.parts.outlines import Outline, columns, outlines
from lifecycle.usecases.parts.visible import visible_ids


class Kind(StrEnum):
    """ASSET: a step of a pipeline, as Dagster shows it; the tables around it are TABLE."""

    PIPELINE = "pipeline"
    TABLE = "table"
    ASSET = "asset"


class Found(Frozen):
    """Something that was found. `pipeline` is the one that it belongs to, or that writes the table.

    `active` has versions by environment, `readers` pipelines, `columns` those that were asked for.
    """

    kind: Kind
    name: str
    pipeline: str | None = None
    description: str = ""
    owners: tuple[str, ...] = ()
    tags: dict[str, str] = Field(default_factory=dict[str, str])
    active: dict[Environment, int] = Field(default_factory=dict[Environment, int])
    readers: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for, all of it; empty fields ask nothing. `tag` is `key` or `key=value`."""

    text: str = ""
    kind: Kind | None = None
    owner: str = ""
    tag: str = ""
    column: str = ""

    def asks_for(self, kind: Kind) -> bool:
        return self.kind in (None, kind)


@dataclass(frozen=True, slots=True)
class Placed:
    """With its place in the list: who pages on names it."""

    place: str
    found: Found


def find(view: View, actor: Actor, wanted: Wanted) -> list[Placed]:
    """Names that fit best come first."""
    only = visible_ids(view, actor)
    heads = [head for head in view.overview.heads() if only is None or head.id in only]
    known = outlines.of(view, [head.digest for head in heads])
    heads = [head for head in heads if head.digest in known and _belongs(known[head.digest], wanted)]
    active = {
        pipeline: {where: number for where, number, _ in each}
        for pipeline, each in view.overview.live_versions([head.id for head in heads]).items()
    }
    having = columns.of(view, [head.digest for head in heads]) if wanted.column else {}
    found: list[Found] = []
    for head in heads:
        found += _of_pipeline(head, known[head.digest], having.get(head.digest, {}), active.get(head.id, {}), wanted)
    found = [*(one for one in found if one.kind is not Kind.TABLE), *_merged(found)]
    placed = [Placed(place_of(one, wanted.text), one) for one in found]
    return sorted(placed, key=lambda one: one.place)


def _belongs(outline: Outline, wanted: Wanted) -> bool:
    key, _, value = wanted.tag.partition("=")
    return (not wanted.owner or wanted.owner in outline.owners) and (
        not wanted.tag or (key in outline.tags and value in ("", outline.tags[key]))
    )


def _of_pipeline(
    head: Head,
    outline: Outline,
    having: dict[str, tuple[str, ...]],
    active: dict[Environment, int],
    wanted: Wanted,
) -> Iterator[Found]:
    words = (head.name, outline.description, *outline.owners, *(f"{k}={v}" for k, v in outline.tags.items()))
    if wanted.asks_for(Kind.PIPELINE) and not wanted.column and _fits(words, wanted.text):
        yield Found(
            kind=Kind.PIPELINE,
            name=head.name,
            pipeline=head.name,
            description=outline.description,
            owners=outline.owners,
            tags=outline.tags,
            active=active,
        )
    for node, label in outline.steps.items() if wanted.asks_for(Kind.ASSET) else ():
        named = _named(having.get(node, ()), wanted.column)
        if _fits((f"{head.name}/{node}",), wanted.text) and (named or not wanted.column):
            yield Found(
                kind=Kind.ASSET, name=f"{head.name}/{node}", pipeline=head.name, description=label, columns=named
            )
    for node, table in (*outline.writes.items(), *outline.reads.items()) if wanted.asks_for(Kind.TABLE) else ():
        named = _named(having.get(node, ()), wanted.column)
        writes = node in outline.writes
        if not writes and table not in outline.tables:
            continue
        if _fits((table,), wanted.text) and (named or not wanted.column):
            yield Found(
                kind=Kind.TABLE,
                name=table,
                pipeline=head.name if writes else None,
                readers=() if writes else (head.name,),
                columns=named,
            )


def _merged(found: Sequence[Found]) -> Iterator[Found]:
    """One for each table, with everybody who writes or reads it."""
    tables: dict[str, list[Found]] = {}
    for one in found:
        if one.kind is Kind.TABLE:
            tables.setdefault(one.name, []).append(one)
    for name, ones in tables.items():
        writers = [one.pipeline for one in ones if one.pipeline]
        yield Found(
            kind=Kind.TABLE,
            name=name,
            pipeline=writers[0] if writers else None,
            readers=tuple(dict.fromkeys(reader for one in ones for reader in one.readers)),
            columns=tuple(dict.fromkeys(column for one in ones for column in one.columns)),
        )


def _fits(words: Sequence[str], text: str) -> bool:
    text = text.casefold()
    return not text or any(text in word.casefold() for word in words)


def _named(known: Sequence[str], column: str) -> tuple[str, ...]:
    wanted = column.casefold()
    return tuple(one for one in known if wanted in one.casefold()) if wanted else ()


def place_of(found: Found, text: str) -> str:
    """Its place in the list that `find` makes for a text."""
    name, text = found.name.casefold(), text.casefold()
    rank = 0 if name == text else 1 if name.startswith(text) else 2 if text in name else 3
    return f"{rank} {name} {found.kind.value} {found.name}"
