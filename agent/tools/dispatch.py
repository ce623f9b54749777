"""Calling a tool by name, whichever way the call came."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from agent.tools.call import ToolCall
from agent.tools.errors import ToolError
from agent.tools.registry import all_tools, tools_for
from agent.tools.schema import as_json, compact
from agent.tools.tool import Tool, Toolset
from drls_dagster.errors import DrlsError
from drls_dagster.redact import known_secrets, redact_model, redact_text
from lifecycle.domain.credentials import TokenScope

LONGEST_ANSWER = 25_000  # bytes of JSON: what is longer comes in pages


def find_tool(name: str, call: ToolCall, toolsets: Collection[Toolset] = ()) -> Tool:
    """Raises ToolError for a tool that does not exist, or is not for this token or these toolsets."""
    known = {one.name: one for one in tools_for(call.scopes, toolsets)}
    if name not in known and TokenScope.WRITE not in call.scopes and name in {one.name for one in all_tools()}:
        raise ToolError(
            f"there is no tool {name} for this token, which is for reading",
            hint="a person can issue one for changes: drls token issue --agent NAME --scope read --scope write",
        )
    if name not in known:
        raise ToolError(f"there is no tool {name} here", hint=f"the tools are: {', '.join(sorted(known))}")
    return known[name]


@dataclass(frozen=True)
class Answered:
    """What a tool answered: as its model, as data, and as JSON."""

    model: BaseModel
    data: dict[str, Any]
    text: str


def invoke(tool: Tool, call: ToolCall, arguments: Mapping[str, Any]) -> Answered:
    """The tool's answer, without secrets. Raises ToolError for arguments that do not fit, and whatever the tool raises.

    An answer that is too long is refused: tools page, and this is for what one of them forgot.
    """
    try:
        given = tool.input.model_validate(dict(arguments))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the arguments"
        raise ToolError(f"{tool.name}: {where}: {first['msg']}", hint="correct the arguments and call again") from None
    secrets = known_secrets(call.settings)
    try:
        answer = redact_model(tool.run(call, given), secrets)
    except DrlsError as error:
        if (clean := redact_text(error.message, secrets)) == error.message:
            raise
        raise ToolError(clean) from None
    data = as_json(answer)
    text = compact(data)
    length = len(text.encode())
    if length > LONGEST_ANSWER:
        raise ToolError(
            f"{tool.name}: the answer has {length:,} bytes; the limit is {LONGEST_ANSWER:,}",
            hint="ask for less of it",
        )
    return Answered(answer, data, text)
