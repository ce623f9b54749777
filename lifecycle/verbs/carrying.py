"""How a request of REST carries what a verb takes: the server and its clients read the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, cached_property
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import quote

from pydantic import TypeAdapter

from lifecycle.verbs.inputs import Header, InQuery, WholeBody
from lifecycle.verbs.table import Row


class Place(Enum):
    """Where in the request."""

    PATH = auto()
    QUERY = auto()
    HEADER = auto()
    BODY = auto()
    WHOLE = auto()


@dataclass(frozen=True)
class Carried:
    """One parameter: where it is, under which name, and what it may be. `tag`: it is written as an ETag is."""

    place: Place
    name: str
    annotation: Any
    default: Any
    tag: bool = False

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.annotation)

    @property
    def is_list(self) -> bool:
        """Whether it may be given more than once."""
        return get_origin(get_args(self.annotation)[0] if get_args(self.annotation) else None) is tuple

    def dump(self, value: Any) -> Any:
        """A value as JSON has it; bytes as they are."""
        return value if isinstance(value, bytes) else self._adapter.dump_python(value, mode="json")

    def quoted(self, value: Any) -> str:
        """As text in a path or a header."""
        if self.place is Place.PATH:
            return quote(str(value), safe="")
        return f'"{value}"' if self.tag else str(value)


@cache
def places(row: Row) -> Mapping[str, Carried]:
    """By name, what the row's verb takes, in its order."""
    hints = get_type_hints(row.verb.run, include_extras=True)
    return {one.name: _carried(row, one.name, hints[one.name], one.default) for one in row.verb.parameters}


def _carried(row: Row, name: str, annotation: Any, default: Any) -> Carried:
    for mark in getattr(annotation, "__metadata__", ()):
        match mark:
            case Header():
                return Carried(Place.HEADER, mark.name, annotation, default, mark.quoted)
            case InQuery():
                return Carried(Place.QUERY, mark.name or name, annotation, default)
            case WholeBody():
                return Carried(Place.WHOLE, name, annotation, default)
            case _:
                continue
    if f"{{{name}}}" in row.path:
        return Carried(Place.PATH, name, annotation, default)
    return Carried(Place.QUERY if row.method in {"GET", "DELETE"} else Place.BODY, name, annotation, default)
