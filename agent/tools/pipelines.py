"""Tools that read pipelines and their versions."""

from __future__ import annotations

from agent.tools.call import ToolCall
from agent.tools.tool import Answer, Input, Toolset, tool


class ListPipelines(Input):
    """No arguments."""


class Names(Answer):
    """Pipelines that the person may see."""

    pipelines: list[str]


@tool(Toolset.READ)
def list_pipelines(call: ToolCall, given: ListPipelines) -> Names:
    """List the pipelines you may see."""
    return Names(pipelines=[one.name for one in call.lifecycle.pipelines.list()])
