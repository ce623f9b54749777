"""What lists and lineage need of many definitions at once, kept by digest: a digest says all of a spec."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lifecycle.spec import PipelineSpec
from lifecycle.spec.lineage import Origins
from lifecycle.spec.tables import known_columns, read_from, table_lineage
from lifecycle.store.unit import View

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outline:
    """`reads` are tables and other places by the node that reads them, `writes` tables, `steps` labels of transforms.

    `tables` are those of `reads` that are Iceberg tables, `feeds` says by written table where its rows come from.
    """

    description: str
    owners: tuple[str, ...]
    tags: dict[str, str]
    reads: dict[str, str]
    tables: frozenset[str]
    writes: dict[str, str]
    feeds: dict[str, tuple[str, ...]]
    steps: dict[str, str]


class Kept(Generic[T]):
    """What `make` made of definitions, for as many of them as fit."""

    def __init__(self, make: Callable[[PipelineSpec], T], most: int) -> None:
        self._make = make
        self._most = most
        self._known: dict[str, T] = {}

    def of(self, view: View, digests: Iterable[str]) -> dict[str, T]:
        """By digest; what was not seen before is read in one go."""
        wanted = tuple(dict.fromkeys(digests))
        missing = [one for one in wanted if one not in self._known]
        if len(self._known) + len(missing) > self._most:
            self._known.clear()
            missing = list(wanted)
        for digest, text in view.overview.specs(missing).items():
            self._known[digest] = self._make(PipelineSpec.model_validate_json(text, by_alias=True, by_name=False))
        return {one: self._known[one] for one in wanted if one in self._known}


def _outline(spec: PipelineSpec) -> Outline:
    reads = {node.id: read_from(node) for node in spec.sources}
    return Outline(
        description=spec.description,
        owners=spec.owners,
        tags=dict(spec.tags),
        reads=reads,
        tables=frozenset(reads[node.id] for node in spec.sources if node.source.kind == "iceberg"),
        writes={node.id: node.table for node in spec.sinks},
        feeds={
            node.table: tuple(dict.fromkeys(reads[one] for one in spec.ancestors(node.id) if one in reads))
            for node in spec.sinks
        },
        steps={node.id: node.label for node in spec.transforms},
    )


def _columns(spec: PipelineSpec) -> dict[str, tuple[str, ...]]:
    return dict(known_columns(spec))


outlines: Kept[Outline] = Kept(_outline, 20_000)
columns: Kept[dict[str, tuple[str, ...]]] = Kept(_columns, 5_000)
lineages: Kept[dict[str, dict[str, Origins]]] = Kept(table_lineage, 2_000)
