"""Names that a client can complete: only those that the person may see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agent.tools.call import ToolCall
from lifecycle.domain.environment import Environment
from lifecycle.verbs.catalog import Kind

MOST = 100  # MCP allows no more in one answer


def matching(call: ToolCall, argument: str, typed: str) -> Sequence[str]:
    """The names for an argument that begin with, or else contain, what was typed; none for arguments of other kinds."""
    names = NAMES.get(argument)
    if names is None:
        return ()
    found = sorted(set(names(call)))
    text = typed.casefold()
    begin = [one for one in found if one.casefold().startswith(text)]
    return begin + [one for one in found if text in one.casefold() and one not in begin]


def _pipelines(call: ToolCall) -> Sequence[str]:
    return [one.name for one in call.lifecycle.pipelines.list()]


def _environments(call: ToolCall) -> Sequence[str]:
    return [one.value for one in Environment]


def _requests(call: ToolCall) -> Sequence[str]:
    return [str(one.id) for one in call.lifecycle.promotions.list()]


def _tables(call: ToolCall) -> Sequence[str]:
    return [one.name for one in call.lifecycle.catalog.search(kind=Kind.TABLE, limit=MOST)]


NAMES: Mapping[str, Callable[[ToolCall], Sequence[str]]] = {
    "pipeline": _pipelines,
    "environment": _environments,
    "request": _requests,
    "table": _tables,
    "name": lambda call: [*_pipelines(call), *_tables(call)],
}
