"""All tools, by the modules that have them. A new group is a line here."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib import import_module

from agent.tools.tool import Tool, Toolset
from lifecycle.domain.credentials import TokenScope

GROUPS: tuple[str, ...] = (
    "agent.tools.search",
    "agent.tools.pipelines",
    "agent.tools.environments",
    "agent.tools.building",
    "agent.tools.proposing",
    "agent.tools.runs",
    "agent.tools.explain",
    "agent.tools.tables",
    "agent.tools.checks",
    "agent.tools.maintaining",
    "agent.tools.changing",
    "agent.tools.drls1",
    "agent.tools.drls1_changes",
)


@cache
def all_tools() -> tuple[Tool, ...]:
    """Every tool, in the order of GROUPS. Raises RuntimeError when two have one name."""
    found = [one for group in GROUPS for one in vars(import_module(group)).values() if isinstance(one, Tool)]
    names = [one.name for one in found]
    if len(set(names)) != len(names):
        raise RuntimeError(f"two tools have one name: {sorted({one for one in names if names.count(one) > 1})}")
    return tuple(found)


def tools_for(scopes: Collection[TokenScope], toolsets: Collection[Toolset] = ()) -> tuple[Tool, ...]:
    """What a token of these scopes may call, of these toolsets; without any, all but the old names of `drls1`."""
    wanted = set(toolsets) or set(Toolset) - {Toolset.DRLS1}
    return tuple(one for one in all_tools() if one.toolsets & wanted and one.scope in scopes)
