"""Tools as a client lists them: JSON Schemas without what costs room and says nothing, and answers that fit them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, cast

from pydantic import BaseModel

from agent.tools.tool import Effect, Tool, Toolset, title_of

_MAPS = ("properties", "$defs", "patternProperties")
_ONE = ("items", "additionalProperties", "not", "contains", "propertyNames")
_SEVERAL = ("anyOf", "oneOf", "allOf", "prefixItems")
_MOST = 1_000  # a larger maximum is not listed
_SHORT = 80  # bytes: a definition of this size is repeated rather than referred to

Schema = dict[str, Any]


def as_json(answer: BaseModel) -> dict[str, Any]:
    """An answer as clients get it. What is None is left out, as its schema has it."""
    return answer.model_dump(mode="json", by_alias=True, exclude_none=True)


@cache
def input_schema(tool: Tool) -> Schema:
    """What the tool takes."""
    return _squeezed(tool.input.model_json_schema(by_alias=True), _of_input)


@cache
def output_schema(tool: Tool) -> Schema:
    """What `as_json` makes of the tool's answers, without `next`, which all of them have."""
    schema = _squeezed(tool.output.model_json_schema(by_alias=True, mode="serialization"), _of_output)
    schema.get("properties", {}).pop("next", None)
    return schema


def listed(tool: Tool) -> dict[str, Any]:
    """The tool as `tools/list` of the Model Context Protocol has it. A title that only repeats the name is left out.

    Whoever asks for the old names knows what they take and answer: those are listed without more words than these.
    """
    titled = {"title": tool.title} if tool.title != title_of(tool.name) else {}
    is_old = tool.toolset is Toolset.DRLS1
    return {
        "name": tool.name,
        **titled,
        "description": tool.about,
        "inputSchema": _without_words(input_schema(tool)) if is_old else input_schema(tool),
        **({} if is_old else {"outputSchema": output_schema(tool)}),
        "annotations": hints(tool),
    }


def hints(tool: Tool) -> dict[str, bool]:
    """What a client may rely on before it asks its person."""
    reads = tool.effect is Effect.READ
    found = {"readOnlyHint": reads}
    if not reads:
        found |= {"destructiveHint": tool.effect is Effect.CHANGE, "idempotentHint": tool.idempotent}
    return found


def compact(value: object) -> str:
    """JSON as it travels."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def size(value: object) -> int:
    """Bytes of JSON."""
    return len(compact(value).encode())


def _squeezed(schema: Schema, trim: Callable[[Schema], Schema]) -> Schema:
    definitions: dict[str, Schema] = schema.pop("$defs", {})
    for one in (schema, *definitions.values()):
        # The docstring of a model is for people who read the code.
        one.pop("description", None)
    whole = _inlined(_trimmed(schema, trim), {name: _trimmed(one, trim) for name, one in definitions.items()})
    whole.setdefault("type", "object")
    return whole


def _without_words(schema: Schema) -> Schema:
    """The schema without descriptions; a property may have that name."""
    return {key: value for key, value in _mapped(schema, _without_words).items() if key != "description"}


def _trimmed(schema: Schema, trim: Callable[[Schema], Schema]) -> Schema:
    """From the leaves up, so that what a schema holds is trimmed before itself."""
    return trim(_mapped(schema, lambda one: _trimmed(one, trim)))


def _mapped(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """The schema with each schema in it changed. Names of properties are no keywords."""
    made: Schema = {}
    for key, value in schema.items():
        if key in _MAPS:
            made[key] = {name: change(one) for name, one in value.items()}
        elif key in _ONE and isinstance(value, dict):
            made[key] = change(cast("Schema", value))
        elif key in _SEVERAL:
            made[key] = [change(one) for one in value]
        else:
            made[key] = value
    return made


def _of_input(schema: Schema) -> Schema:
    kept = _plain(schema)
    if not kept.get("default", True):
        # Nothing, no and empty are what people expect of what they leave out.
        del kept["default"]
    if isinstance(kept.get("additionalProperties"), bool):
        # Calls are checked anyway, and what is unknown is named. That an object is open need not be said.
        del kept["additionalProperties"]
    # Nobody comes near these by accident, and the error names the field.
    for key in ("maxLength", "minLength", "pattern", "maxProperties", "maxItems"):
        kept.pop(key, None)
    if kept.get("minimum") in (0, 1):
        del kept["minimum"]
    if kept.get("maximum", 0) > _MOST:
        del kept["maximum"]
    return kept


def _of_output(schema: Schema) -> Schema:
    """Answers always fit their model, so a client needs the shape alone. What has no type is text."""
    kept = _plain(schema)
    kept.pop("enum", None)
    if kept.get("type") == "string":
        del kept["type"]
    if kept.get("items") == {}:
        del kept["items"]
    for key in ("default", "required", "format", "maxLength", "minLength", "pattern", "minimum", "maximum"):
        kept.pop(key, None)
    if kept.get("additionalProperties") is True:
        del kept["additionalProperties"]
    return kept


def _plain(schema: Schema) -> Schema:
    kept = {key: value for key, value in schema.items() if key != "title"}
    choices = [one for one in kept.get("anyOf", ()) if one != {"type": "null"}]
    if "anyOf" in kept and len(choices) == 1:
        del kept["anyOf"]
        kept = {**choices[0], **kept}
    if kept.get("default", 0) is None:
        del kept["default"]
    if "enum" in kept or "const" in kept:
        kept.pop("type", None)
    return kept


def _inlined(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """With definitions where they are used, unless several places use a long one, or it holds itself."""
    known = dict(definitions)
    while True:
        uses: dict[str, int] = {}
        for holder in (schema, *known.values()):
            for name in _references(holder):
                uses[name] = uses.get(name, 0) + 1
        known = {name: one for name, one in known.items() if name in uses}
        here = next((one for one in known if _goes_inline(one, known, uses)), None)
        if here is None:
            return {**schema, "$defs": known} if known else schema
        chosen = known.pop(here)
        schema = _put(schema, here, chosen)
        known = {name: _put(one, here, chosen) for name, one in known.items()}


def _goes_inline(name: str, known: Mapping[str, Schema], uses: Mapping[str, int]) -> bool:
    if name in _references(known[name]):
        return False
    return uses[name] == 1 or size(known[name]) <= _SHORT


def _put(schema: Schema, name: str, definition: Schema) -> Schema:
    made = _mapped(schema, lambda one: _put(one, name, definition))
    if made.get("$ref") != f"#/$defs/{name}":
        return made
    del made["$ref"]
    return {**definition, **made}


def _references(schema: Schema) -> Iterator[str]:
    found: list[str] = []

    def look(one: Schema) -> Schema:
        if "$ref" in one:
            found.append(str(one["$ref"]).rpartition("/")[2])
        return _mapped(one, look)

    look(schema)
    yield from found
