"""Schemas of tools: short, valid, and true of what tools take and answer."""

from __future__ import annotations

from enum import StrEnum

import pytest
from jsonschema import Draft202012Validator, ValidationError
from pydantic import Field

from agent.tools.call import ToolCall
from agent.tools.registry import all_tools
from agent.tools.schema import as_json, input_schema, listed, output_schema, size
from agent.tools.tool import Answer, Effect, Input, Tool, Toolset, tool


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Leaf(Answer):
    """A leaf, with a docstring that no client needs."""

    title: str
    default: int | None = None
    at: str = Field(default="", description="ISO time, UTC")


class Tree(Answer):
    leaves: tuple[Leaf, ...] = ()
    first: Leaf | None = Field(default=None, description="The oldest")
    below: tuple[Tree, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)


class Ask(Input):
    title: str = Field(description="What to look for")
    colour: Colour | None = None
    most: int = Field(default=50, ge=1, le=200)
    dry_run: bool = True
    again: bool = False
    properties: tuple[str, ...] = ()


@tool(Toolset.READ)
def climb(call: ToolCall, given: Ask) -> Tree:
    """Climb."""
    return Tree()


def test_what_costs_room_and_says_nothing_is_left_out() -> None:
    assert input_schema(climb) == {
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": "What to look for"},
            "colour": {"enum": ["red", "blue"]},
            "most": {"type": "integer", "default": 50, "maximum": 200},
            "dry_run": {"type": "boolean", "default": True},
            "again": {"type": "boolean"},
            "properties": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["title"],
    }
    said = output_schema(climb)
    assert size(said) < size(climb.output.model_json_schema(mode="serialization")) * 0.6
    assert "docstring" not in str(said)


def test_a_model_that_holds_itself_stays_a_definition() -> None:
    tree = Tree(below=(Tree(leaves=(Leaf(title="a", default=1),)),), first=Leaf(title="b"), counts={"x": 1})
    Draft202012Validator(output_schema(climb)).validate(as_json(tree))
    with pytest.raises(ValidationError):
        Draft202012Validator(output_schema(climb)).validate({"below": [{"leaves": [{"default": "x"}]}]})


def test_what_is_none_is_left_out_of_answers() -> None:
    assert as_json(Leaf(title="a")) == {"next": "", "title": "a", "at": ""}


@pytest.mark.parametrize("one", all_tools(), ids=lambda one: one.name)
def test_every_schema_is_valid_and_says_what_the_model_takes(one: Tool) -> None:
    outputs = {name: field for name, field in one.output.model_fields.items() if name != "next"}
    for schema, fields in ((input_schema(one), one.input.model_fields), (output_schema(one), outputs)):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        names = {field.serialization_alias or field.alias or name for name, field in fields.items()}
        assert set(schema.get("properties", {})) == names
    required = {name for name, field in one.input.model_fields.items() if field.is_required()}
    assert set(input_schema(one).get("required", ())) == required


@pytest.mark.parametrize("one", all_tools(), ids=lambda one: one.name)
def test_annotations_say_the_effect(one: Tool) -> None:
    hints = listed(one)["annotations"]
    assert hints == {name: bool(value) for name, value in hints.items()}
    assert hints["readOnlyHint"] is (one.effect is Effect.READ)
    assert hints.get("destructiveHint", False) is (one.effect is Effect.CHANGE)
