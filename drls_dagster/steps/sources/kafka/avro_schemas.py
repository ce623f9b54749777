"""Avro schemas as text: looked at before anything that is much larger than the text is made of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

MOST_CHARACTERS = 1_000_000
MOST_FIELDS = 5_000  # also of types that are named in several places, each time they are
DEEPEST = 24
_PLAIN = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}


class Unusable(ValueError):
    """Why a schema is not used: a clause whose subject is the schema."""


def checked(text: str) -> str:
    """The text of a record's schema that Spark can work with. Raises Unusable."""
    if len(text) > MOST_CHARACTERS:
        raise Unusable(f"has more than {MOST_CHARACTERS:,} characters")
    try:
        schema: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise Unusable("is no JSON") from None
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise Unusable("is no record, and each row is one")
    _Look().size(schema, "", 0)
    names = columns(text)
    if not names:
        raise Unusable("has no fields")
    twice = next((name for name in names if [one.lower() for one in names].count(name.lower()) > 1), None)
    if twice is not None:
        raise Unusable(f"has two fields '{twice}', whose names differ in case alone")
    return text


def columns(text: str) -> tuple[str, ...]:
    """The names of a record's fields."""
    return tuple(field["name"] for field in json.loads(text)["fields"])


def digest(text: str) -> str:
    """`sha256:<hex>` of a schema, whatever its spaces and the order of its keys."""
    plain = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(plain.encode()).hexdigest()


def marked(text: str) -> tuple[str, str]:
    """The schema with one more field, which is true in each record that could be read; and the field's name."""
    schema = json.loads(text)
    name = "drls_read"
    while name in {one.lower() for one in columns(text)}:
        name += "_"
    schema["fields"].append({"name": name, "type": "boolean", "default": True})
    return json.dumps(schema), name


@dataclass(frozen=True)
class _Size:
    """`fields` that a type has once all names are replaced by what they mean, and how many levels deep."""

    fields: int = 1
    levels: int = 1


class _Look:
    """Works out how large a schema is without making it so large."""

    def __init__(self) -> None:
        self.sizes: dict[str, _Size | None] = {}  # by full name; None while the type is being looked at

    def size(self, schema: Any, space: str, depth: int) -> _Size:
        if depth > DEEPEST:
            raise Unusable(f"is nested more than {DEEPEST} levels deep")
        if isinstance(schema, str):
            return _Size() if schema in _PLAIN else self._named(schema, space)
        if isinstance(schema, list):
            return self._all(schema, space, depth)
        if not isinstance(schema, dict):
            raise Unusable("is no Avro schema")
        match schema.get("type"):
            case "record" | "error":
                return self._record(schema, space, depth)
            case "enum" | "fixed":
                self.sizes[self._full(schema, space)] = _Size()
                return _Size()
            case "array":
                return self._all([schema.get("items")], space, depth)
            case "map":
                return self._all([schema.get("values")], space, depth)
            case other:
                return self.size(other, space, depth + 1)

    def _record(self, schema: dict[str, Any], space: str, depth: int) -> _Size:
        name = self._full(schema, space)
        fields = schema.get("fields")
        if not isinstance(fields, list) or not all(
            isinstance(one, dict) and isinstance(one.get("name"), str) and "type" in one for one in fields
        ):
            raise Unusable(f"has a record '{name[:60]}' whose fields are no fields")
        self.sizes[name] = None
        found = self._all([one["type"] for one in fields], name.rpartition(".")[0], depth)
        self.sizes[name] = found
        return found

    def _all(self, parts: list[Any], space: str, depth: int) -> _Size:
        fields, levels = 1, 0
        for one in parts:
            found = self.size(one, space, depth + 1)
            fields, levels = fields + found.fields, max(levels, found.levels)
            if fields > MOST_FIELDS:
                raise Unusable(f"has more than {MOST_FIELDS:,} fields, nested ones included")
        if levels >= DEEPEST:
            raise Unusable(f"is nested more than {DEEPEST} levels deep")
        return _Size(fields, levels + 1)

    def _named(self, name: str, space: str) -> _Size:
        full = name if "." in name or not space else f"{space}.{name}"
        known = full if full in self.sizes else name
        if known not in self.sizes:
            raise Unusable(f"names a type '{name[:60]}' that it does not define")
        found = self.sizes[known]
        if found is None:
            raise Unusable(f"contains itself, in '{known[:60]}'")
        return found

    def _full(self, schema: dict[str, Any], space: str) -> str:
        name, own = schema.get("name"), schema.get("namespace", space)
        if not isinstance(name, str) or not isinstance(own, str):
            raise Unusable("has a type without a name")
        return name if "." in name or not own else f"{own}.{name}"
