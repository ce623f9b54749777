"""A node with all its fields, as its page section shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from markupsafe import Markup

from lifecycle.app.kit.spec.highlight import highlight
from lifecycle.app.kit.spec.node_words import icon_of, kind_of, subject_of
from lifecycle.spec import AnyNode, MonitorNode, PipelineSpec

_LANGUAGES = {"sql": "sql", "query": "sql", "python": "python"}
_HEAD = ("id", "type", "step", "kind")


@dataclass(frozen=True, slots=True)
class Code:
    """Source text of a field."""

    field: str
    lines: tuple[Markup, ...]


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check of a monitor: `asks` are its bounds, columns and values."""

    name: str
    kind: str
    severity: str
    asks: str
    code: Code | None


@dataclass(frozen=True, slots=True)
class NodeView:
    """What a node says. `fields` are those that are set, by path; monitors have `checks` instead."""

    id: str
    icon: str
    type: str
    kind: str
    subject: str
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    code: tuple[Code, ...]
    checks: tuple[CheckView, ...]


def node_view(node: AnyNode, spec: PipelineSpec) -> NodeView:
    """The section of a node."""
    values = node.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    leaves = list(_leaves((), {k: v for k, v in values.items() if k not in (*_HEAD, "checks")}))
    # The section's heading says what kind of source it is.
    leaves = [(path, text) for path, text in leaves if path != ("source", "kind")]
    return NodeView(
        id=node.id,
        icon=icon_of(node),
        type=node.type,
        kind=kind_of(node),
        subject=subject_of(node),
        upstream=spec.upstream(node.id),
        downstream=spec.downstream(node.id),
        fields=tuple((".".join(path), text) for path, text in leaves if not _is_code(path, text)),
        code=tuple(
            Code(".".join(path), highlight(text, _LANGUAGES.get(path[-1], "")))
            for path, text in leaves
            if _is_code(path, text)
        ),
        checks=tuple(_checks(node)) if isinstance(node, MonitorNode) else (),
    )


def _checks(node: MonitorNode) -> Iterator[CheckView]:
    for check in node.checks:
        values = check.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        sql = values.pop("sql", None)
        asks = [f"{key} {text}" for (key, *_), text in _leaves((), values) if key not in ("kind", "name", "severity")]
        code = Code("sql", highlight(sql, "sql")) if sql else None
        yield CheckView(check.name, check.kind.replace("_", " "), check.severity, ", ".join(asks), code)


def _leaves(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from _leaves((*path, key), inner)
    elif isinstance(value, str):
        yield path, value
    elif isinstance(value, list) and all(isinstance(one, str | int | float) for one in cast("list[Any]", value)):
        yield path, ", ".join(str(one) for one in cast("list[Any]", value))
    else:
        yield path, json.dumps(value, ensure_ascii=False)


def _is_code(path: tuple[str, ...], text: str) -> bool:
    return path[-1] in _LANGUAGES or "\n" in text
