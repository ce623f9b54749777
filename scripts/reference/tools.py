"""docs/reference/tools.md, from the registry of the agents' tools."""

from __future__ import annotations

from typing import Any

from words import MADE, table

from agent.tools.registry import all_tools
from agent.tools.schema import input_schema, output_schema
from agent.tools.tool import Effect, Tool, Toolset

INTRODUCTION = """\
What agents can do, in the MCP server, in the chat and with `drls agent` alike. An agent acts for a person, with at most
that person's rights: *role* is the least role that the tool needs somewhere, and each pipeline is checked again.
Reading needs a token with the scope `read`, everything else one with `write`.

*Effect*: `read` changes nothing. `add` makes something new and removes nothing. `change` alters what counts or runs.
Every answer also has `next`: what to do now, in a line. Lists come in pages (`cursor`), long texts in parts (`offset`),
and no answer is longer than 25 kB.

No tool approves, rejects, reviews or executes a request, breaks the glass, or changes policies, people, grants, tokens
or settings.
"""
NEVER = {
    Toolset.READ: "These tools change nothing, and show only what the person may see.",
    Toolset.RUNS: "These tools go through the gate: they run no version that is not active there, and publish nothing "
    "that a blocking check refuses.",
    Toolset.BUILD: "These tools save versions in development and promote none. They change no version, delete none, "
    "and run no code of one.",
    Toolset.PROPOSE: "These tools ask for promotions. People decide: the tools approve, reject, review and execute "
    "nothing.",
    Toolset.TABLES: "What changes a table here plans it first, and moves its refs only with the platform's permits.",
    Toolset.DRLS1: "The tools of the first DRLS, under their old names; off unless a client asks for them.",
}


def tools() -> str:
    text = ["# Tools of agents", MADE, INTRODUCTION]
    for toolset in Toolset:
        own = [one for one in all_tools() if one.toolset is toolset]
        if own:
            text += [f"## {toolset.value}\n", f"{NEVER[toolset]}\n"]
            text += [*table(("tool", "role", "effect", "takes", "answers", "meaning"), [row(one) for one in own]), ""]
    return "\n".join(text)


def row(one: Tool) -> tuple[str, ...]:
    return (
        f"`{one.name}`",
        one.role.value,
        one.effect.value + (", repeatable" if one.idempotent and one.effect is not Effect.READ else ""),
        fields(input_schema(one)),
        fields(output_schema(one)),
        one.about,
    )


def fields(schema: dict[str, Any]) -> str:
    """The names of the fields; those that must be given are bold."""
    required = schema.get("required", ())
    names = [f"**{name}**" if name in required else name for name in schema.get("properties", {})]
    return ", ".join(names)
