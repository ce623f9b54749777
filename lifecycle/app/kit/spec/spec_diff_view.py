"""What changed between two versions, as the review page and the comparison show it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from lifecycle.app.kit.spec.graph_view import GraphView, graph_view
from lifecycle.app.kit.spec.text_diff import TextDiff, text_diff
from lifecycle.domain.spec_diff import FieldDiff, SpecDiff, Texts, diff_specs
from lifecycle.spec import PipelineSpec

Change = Literal["added", "removed", "changed"]
_LANGUAGES = {"sql": "sql", "query": "sql", "python": "python"}
_LONG = 120


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One value; None where it is not set. `field` is its path: `properties.write.format`, `checks.some.min`."""

    field: str
    change: Change
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class TextChange:
    """A value of several lines, side by side."""

    field: str
    change: Change
    diff: TextDiff


@dataclass(frozen=True, slots=True)
class PartChange:
    """What changed in a node, or (`name` empty) in the pipeline's own fields."""

    name: str
    change: Change
    fields: tuple[FieldChange, ...]
    texts: tuple[TextChange, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """How much of what came, went or changed: `2 nodes`."""

    change: Change
    text: str


@dataclass(frozen=True, slots=True)
class SpecDiffView:
    """`is_first`: there was nothing before, so everything is new. Empty `parts` and edges: nothing differs."""

    is_first: bool
    counts: tuple[Count, ...]
    graph: GraphView
    parts: tuple[PartChange, ...]
    edges_added: tuple[str, ...]
    edges_removed: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.parts or self.edges_added or self.edges_removed)


def spec_diff_view(
    before: PipelineSpec | None, after: PipelineSpec, code: tuple[Texts, Texts] = ({}, {})
) -> SpecDiffView:
    """What a reviewer sees of `after` against `before` (None: a first release); `code` as `diff_specs` takes it."""
    diff = diff_specs(before, after, code)
    parts = [_part(one.node, one.change, one.fields) for one in diff.nodes]
    if diff.pipeline:
        parts.insert(0, _part("", "changed" if before else "added", diff.pipeline))
    return SpecDiffView(
        is_first=before is None,
        counts=tuple(_counts(diff)),
        graph=graph_view(after, before=before, diff=diff if before else None),
        parts=tuple(parts),
        edges_added=diff.edges_added,
        edges_removed=diff.edges_removed,
    )


def _counts(diff: SpecDiff) -> Iterator[Count]:
    of_nodes: tuple[Change, ...] = ("added", "removed", "changed")
    for change in of_nodes:
        yield from _count(change, sum(one.change == change for one in diff.nodes), "node")
    yield from _count("added", len(diff.edges_added), "edge")
    yield from _count("removed", len(diff.edges_removed), "edge")
    yield from _count("changed", len(diff.pipeline), "pipeline field")


def _count(change: Change, number: int, word: str) -> Iterator[Count]:
    if number:
        yield Count(change, f"{number} {word}{'s' if number > 1 else ''} {change}")


def _part(name: str, change: Change, diffs: Iterable[FieldDiff]) -> PartChange:
    fields: list[FieldChange] = []
    texts: list[TextChange] = []
    for diff in diffs:
        for path, before, after in _leaves((diff.field,), diff.before, diff.after):
            field = ".".join(path)
            of_it: Change = "added" if before is None else "removed" if after is None else "changed"
            old, new = _shown(before), _shown(after)
            language = _LANGUAGES.get(path[-1], "python" if path[-1].endswith(".py") else "")
            if (language and not _is_digest(old or new)) or _is_text(old) or _is_text(new):
                compared = text_diff(old or "", new or "", language)
                texts.append(TextChange(field, of_it, compared))
            elif path[-1:] != ("id",):
                fields.append(FieldChange(field, of_it, old, new))
    return PartChange(name, change, tuple(fields), tuple(texts))


def _leaves(path: tuple[str, ...], before: Any, after: Any) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """The values that differ, each with its path; checks are matched by their names."""
    old, new = _by_name(before), _by_name(after)
    if (old or new) and (old is not None or before is None) and (new is not None or after is None):
        for key in sorted((old or {}).keys() | (new or {}).keys()):
            one, other = (old or {}).get(key), (new or {}).get(key)
            if one != other:
                yield from _leaves((*path, key), one, other)
    else:
        yield path, before, after


def _by_name(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    if isinstance(value, list) and value:
        items = cast("list[Any]", value)
        if all(isinstance(item, dict) and "name" in item for item in items):
            named = {str(item["name"]): {k: v for k, v in item.items() if k != "name"} for item in items}
            return named if len(named) == len(items) else None
    return None


def _shown(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        items = cast("Sequence[Any]", value)
        if all(isinstance(item, str | int | float) for item in items):
            return ", ".join(str(_shown(item)) for item in items)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _is_digest(value: str | None) -> bool:
    return value is not None and value.startswith("sha256:")


def _is_text(value: str | None) -> bool:
    return value is not None and ("\n" in value or len(value) > _LONG)
