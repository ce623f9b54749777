"""What a site is connected to, and what its sections keep between two requests: one thing of each type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from fastapi import Depends, Request

T = TypeVar("T")


class Parts:
    """Things, each found by its type or a base class of it. None is left out: a setting can be passed as it is."""

    def __init__(self, things: Iterable[object | None] = ()) -> None:
        self.things = tuple(one for one in things if one is not None)

    def find(self, kind: type[T]) -> T | None:
        """The thing of this type, or None."""
        return next((one for one in self.things if isinstance(one, kind)), None)

    def has(self, kind: type[object]) -> bool:
        return self.find(kind) is not None

    def of(self, kind: type[T]) -> T:
        """The thing of this type. Raises LookupError."""
        found = self.find(kind)
        if found is None:
            raise LookupError(f"this site has no {kind.__name__}: connect one, or name it in what the section needs")
        return found


@dataclass(frozen=True, slots=True)
class DagsterAt:
    """Dagster's UI is behind the same address as this site, under `path`."""

    path: str


class IdentityProvider:
    """Another place where people may sign in; the pages offer it where a site has one."""


def parts_in(request: Request) -> Parts:
    """What the site of this request was made with."""
    return cast("Parts", request.app.state.parts)


def part(kind: type[object]) -> Any:
    """A route's parameter: `Annotated[ChainWatch, part(ChainWatch)]`."""

    # Async, though it waits for nothing: FastAPI sends everything else to another thread and back.
    async def found(request: Request) -> object:
        return parts_in(request).of(kind)

    return Depends(found)
