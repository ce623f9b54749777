"""What the MCP server answers: tools, resources, prompts and names, each as the agent of whoever asks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import mcp_types as types

from agent.mcp import names, prompts, resources
from agent.mcp.client import McpClient, Used
from agent.mcp.pages import page_of
from agent.tools import schema
from agent.tools.call import NoClient, ToolCall
from agent.tools.callers import Agent, Callers
from agent.tools.dispatch import Answered, find_tool, invoke
from agent.tools.errors import ToolError
from agent.tools.registry import all_tools, tools_for
from agent.tools.tool import Tool, Toolset

A = TypeVar("A")
# What one agent may have running at the same time: calls wait for runs, and each has a thread.
MOST_CALLS = 8


class Office:
    """`who` says whose agent sent a request (None: over stdio), `toolsets` which it wants; without any, all."""

    def __init__(
        self, callers: Callers, who: Callable[[Any], Agent], toolsets: Callable[[Any], Collection[Toolset]]
    ) -> None:
        self.used = Used()
        self._callers = callers
        self._who = who
        self._toolsets = toolsets
        self._running: Counter[str] = Counter()
        self._line = threading.Lock()

    def list_tools(self, request: Any, cursor: str | None) -> types.ListToolsResult:
        found = tools_for(self._who(request).scopes, self._toolsets(request))
        items, after = page_of(found, cursor)
        return types.ListToolsResult(tools=[listed(one) for one in items], next_cursor=after)

    def input_schema(self, name: str) -> Mapping[str, Any] | None:
        """What the tool takes, whoever may call it; None for a tool that does not exist."""
        tool = next((one for one in all_tools() if one.name == name), None)
        return None if tool is None else schema.listed(tool)["inputSchema"]

    def call_tool(
        self, request: Any, client: McpClient, name: str, arguments: Mapping[str, Any]
    ) -> types.CallToolResult:
        """Raises DrlsError for whatever is refused."""
        agent = self._who(request)
        call = self._callers.call(agent, client)
        tool = find_tool(name, call, self._toolsets(request))
        self._begin(agent)
        try:
            return answered(invoke(tool, call, arguments))
        finally:
            self._end(agent)

    def list_resources(self, request: Any, cursor: str | None) -> types.ListResourcesResult:
        items, after = page_of(resources.listed(self._call(request)), cursor)
        return types.ListResourcesResult(resources=list(items), next_cursor=after)

    def list_templates(self, request: Any, cursor: str | None) -> types.ListResourceTemplatesResult:
        items, after = page_of(resources.templates(self._call(request)), cursor)
        return types.ListResourceTemplatesResult(resource_templates=list(items), next_cursor=after)

    def read_resource(self, request: Any, uri: str) -> types.ReadResourceResult:
        return types.ReadResourceResult(contents=[resources.read(self._call(request), uri)])

    def list_prompts(self, cursor: str | None) -> types.ListPromptsResult:
        items, after = page_of(prompts.listed(), cursor)
        return types.ListPromptsResult(prompts=list(items), next_cursor=after)

    def get_prompt(self, name: str, arguments: Mapping[str, str]) -> types.GetPromptResult:
        return prompts.get(name, arguments)

    def complete(self, request: Any, params: types.CompleteRequestParams) -> types.CompleteResult:
        found = names.matching(self._call(request), params.argument.name, params.argument.value)
        most = found[: names.MOST]
        return types.CompleteResult(
            completion=types.Completion(values=list(most), total=len(found), has_more=len(most) < len(found))
        )

    def _call(self, request: Any) -> ToolCall:
        return self._callers.call(self._who(request), NoClient())

    def _begin(self, agent: Agent) -> None:
        with self._line:
            if self._running[agent.owner] >= MOST_CALLS:
                raise ToolError(f"{MOST_CALLS} calls are running already", hint="wait for one of them, then try again")
            self._running[agent.owner] += 1

    def _end(self, agent: Agent) -> None:
        with self._line:
            self._running[agent.owner] -= 1
            if not self._running[agent.owner]:
                del self._running[agent.owner]


def listed(tool: Tool) -> types.Tool:
    """A tool as clients see it: just what is counted against the limit of `tools/list`."""
    return types.Tool.model_validate(schema.listed(tool))


def answered(found: Answered) -> types.CallToolResult:
    """The answer as data and, because some clients read nothing else, as its JSON."""
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=found.text)], structured_content=found.data
    )


def toolsets_of(text: str) -> frozenset[Toolset]:
    """The toolsets in `read,runs`. Raises ToolError for one that does not exist."""
    wanted = [one.strip() for one in text.split(",") if one.strip()]
    known: Sequence[str] = [one.value for one in Toolset]
    for one in wanted:
        if one not in known:
            raise ToolError(f"there is no toolset {one!r}", hint=f"the toolsets are: {', '.join(known)}")
    return frozenset(Toolset(one) for one in wanted)
