"""A spec to the text of a pipeline file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from lifecycle.spec.checks import MonitorNode, without_derived_names
from lifecycle.spec.pipeline import PipelineSpec
from lifecycle.spec.reading import scalar

# What YAML also takes for the end of a line, or drops: only double quotes can escape it.
_BREAKS = re.compile("[\r\x85\u2028\u2029\ufeff]")


class _Dumper(yaml.SafeDumper):
    """Writes a text plain only where YAML 1.1 and this package's reader both take it for text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, text: str) -> yaml.ScalarNode:
    if _BREAKS.search(text):
        style = '"'
    elif "\n" in text and not text.startswith(("\n", " ", "\t")):
        style = "|"
    else:
        style = None if isinstance(_read(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _read(text: str) -> Any:
    try:
        return scalar(text, plain=True)
    except ValueError:
        return None


_Dumper.add_representer(str, _text)
_Dumper.add_representer(tuple, lambda dumper, items: dumper.represent_list(items))


def dump_yaml(spec: PipelineSpec) -> str:
    """The pipeline file of a spec, without defaults. Parsing it gives an equal spec."""
    nodes = tuple(
        node.model_copy(update={"checks": without_derived_names(node.checks)})
        if isinstance(node, MonitorNode)
        else node
        for node in spec.nodes
    )
    return dump_definition(spec.model_copy(update={"nodes": nodes}).model_dump(by_alias=True, exclude_defaults=True))


def dump_definition(data: Mapping[str, Any]) -> str:
    """The pipeline file of a definition as plain values, right or not."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
