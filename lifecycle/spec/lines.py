"""In which line of a pipeline file a problem is."""

from __future__ import annotations

import re
from typing import Any

import yaml

from lifecycle.spec.errors import Problem

_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_LINE = re.compile(r"line (\d+)")


class Lines:
    """Of a text that was read as a pipeline file, or could not be. Never raises."""

    def __init__(self, text: str) -> None:
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            self._root: yaml.Node | None = yaml.compose(text, Loader=loader)
        except (yaml.YAMLError, RecursionError, ValueError):
            self._root = None

    def of(self, problem: Problem) -> int | None:
        """The line of the field, else of what it is missing in; None where that cannot be said."""
        given = _LINE.fullmatch(problem.field or "")
        if given is not None:
            return int(given[1])
        if self._root is None:
            return None
        if problem.node is None and problem.field is None:
            return None
        start = self._root if problem.node is None else self._node(problem.node)
        return None if start is None else _follow(start, problem.field or "")

    def _node(self, name: str) -> yaml.Node | None:
        nodes = _value(self._root, "nodes")
        if not isinstance(nodes, yaml.SequenceNode):
            return None
        for one in nodes.value:
            identity = _value(one, "id")
            if isinstance(identity, yaml.ScalarNode) and identity.value == name:
                return one
        return None


def _follow(node: yaml.Node, field: str) -> int:
    line = node.start_mark.line + 1
    for number, name in _PART.findall(field):
        if number and isinstance(node, yaml.SequenceNode) and int(number) < len(node.value):
            node = node.value[int(number)]
            line = node.start_mark.line + 1
        elif name and isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == name]
            if not found:
                return line
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        else:
            return line
    return line


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)
