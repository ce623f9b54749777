"""What the official conformance suite expects a server to offer, made with the same means as DRLS's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Event

import mcp_types as types
from pydantic import ConfigDict

from agent.mcp.prompts import Messages, Prompt
from agent.mcp.resources import TEXT, Kind
from agent.tools.call import ToolCall
from agent.tools.errors import ToolError
from agent.tools.tool import Answer, Effect, Input, Toolset, tool

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100"
    "c9fe92ef0000000049454e44ae426082"
)


class Nothing(Input):
    """No arguments."""


class Question(Input):
    """What to ask."""

    message: str


class Said(Answer):
    """A text."""

    text: str


class Schema(Input):
    """With what JSON Schema 2020-12 brings."""

    model_config = ConfigDict(json_schema_extra={"$schema": "https://json-schema.org/draft/2020-12/schema"})


@tool(Toolset.READ)
def test_simple_text(call: ToolCall, given: Nothing) -> Said:
    """Answer with a text."""
    return Said(text="This is a simple text response for testing.")


@tool(Toolset.READ)
def test_error_handling(call: ToolCall, given: Nothing) -> Said:
    """Fail."""
    raise ToolError("This tool intentionally returns an error for testing")


@tool(Toolset.READ)
def test_tool_with_progress(call: ToolCall, given: Nothing) -> Said:
    """Say how far it is, three times."""
    for done in (0, 50, 100):
        call.client.progress(done, 100, f"{done} of 100")
    return Said(text="done")


@tool(Toolset.RUNS, effect=Effect.CHANGE)
def test_elicitation(call: ToolCall, given: Question) -> Said:
    """Ask the person before it goes on."""
    call.confirm(given.message)
    return Said(text="confirmed")


def _text(content: str) -> types.TextContent:
    return types.TextContent(type="text", text=content)


def _user(*content: types.ContentBlock) -> Messages:
    return [types.PromptMessage(role="user", content=one) for one in content]


def _simple(_: Mapping[str, str]) -> Messages:
    return _user(_text("This is a simple prompt for testing."))


def _with_arguments(given: Mapping[str, str]) -> Messages:
    return _user(_text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"))


def _with_resource(given: Mapping[str, str]) -> Messages:
    embedded = types.TextResourceContents(
        uri=given["resourceUri"], mime_type=TEXT, text="Embedded resource content for testing."
    )
    return _user(
        types.EmbeddedResource(type="resource", resource=embedded),
        _text("Please process the embedded resource above."),
    )


def _with_image(_: Mapping[str, str]) -> Messages:
    import base64

    image = types.ImageContent(type="image", data=base64.b64encode(PIXEL).decode(), mime_type="image/png")
    return _user(image, _text("Please analyze the image above."))


PROMPTS: Sequence[Prompt] = (
    Prompt("test_simple_prompt", "Simple", "A simple prompt", {}, frozenset(), _simple),
    Prompt(
        "test_prompt_with_arguments",
        "With arguments",
        "A prompt with two arguments",
        {"arg1": "First", "arg2": "Second"},
        frozenset({"arg1", "arg2"}),
        _with_arguments,
    ),
    Prompt(
        "test_prompt_with_embedded_resource",
        "With a resource",
        "A prompt with a resource in it",
        {"resourceUri": "URI of the resource"},
        frozenset({"resourceUri"}),
        _with_resource,
    ),
    Prompt("test_prompt_with_image", "With an image", "A prompt with an image", {}, frozenset(), _with_image),
)

KINDS: Sequence[Kind] = (
    Kind(
        "static-text",
        "Static text",
        "A static text resource",
        "test://static-text",
        TEXT,
        lambda call, given: "This is the content of the static text resource.",
        lambda call: ["test://static-text"],
    ),
    Kind(
        "static-binary",
        "Static binary",
        "A static binary resource",
        "test://static-binary",
        "image/png",
        lambda call, given: PIXEL,
        lambda call: ["test://static-binary"],
    ),
    Kind(
        "template",
        "Template",
        "A resource with an ID",
        "test://template/{id}/data",
        "application/json",
        lambda call, given: f'{{"id":"{given["id"]}","templateTest":true,"data":"Data for ID: {given["id"]}"}}',
    ),
)


@tool(Toolset.READ)
def wait_until_cancelled(call: ToolCall, given: Question) -> Said:
    """Say that it has begun, in the file `message`, and wait until nobody wants the answer; then say that, too."""
    from pathlib import Path

    file = Path(given.message)
    file.write_text("begun")
    never = Event()
    while not call.client.cancelled:
        call.client.progress(0)
        never.wait(0.05)
    file.write_text("cancelled")
    return Said(text="cancelled")


class Freeze(Input):
    """Which key makes a repetition the same, and the file that says how far it came."""

    key: str
    file: str


@tool(Toolset.RUNS, effect=Effect.ADD, idempotent=True)
def freeze_slowly(call: ToolCall, given: Freeze) -> Said:
    """Freeze production; the first time, take for ever to say so."""
    from pathlib import Path

    from lifecycle.domain.environment import Environment
    from lifecycle.domain.policy import HoldKind

    hold = call.lifecycle.environments.set_hold(
        HoldKind.FREEZE, Environment.PRODUCTION, reason="an agent was asked to", key=given.key
    )
    if not Path(given.file).exists():
        Path(given.file).write_text("done")
        Event().wait()
    return Said(text=f"hold {hold.id}")


@tool(Toolset.READ)
def answer_too_much(call: ToolCall, given: Nothing) -> Said:
    """Answer with more than fits."""
    return Said(text="x" * 30_000)


@tool(Toolset.READ)
def break_inside(call: ToolCall, given: Nothing) -> Said:
    """Fail where nobody expected it."""
    raise RuntimeError("the password is hunter2")


@tool(Toolset.READ)
def print_something(call: ToolCall, given: Nothing) -> Said:
    """Print to stdout, as a library might."""
    import os

    print("printed")
    os.write(1, b"written\n")
    return Said(text="printed")
