"""Long lists in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Query

Item = TypeVar("Item")
SIZE = 50

PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
QueryText = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, slots=True)
class Paged(Generic[Item]):
    """One page of a list. Addresses are None where there is no such page."""

    items: tuple[Item, ...]
    total: int
    first: int
    previous: str | None
    following: str | None

    @property
    def last(self) -> int:
        return self.first + len(self.items) - 1


def paged(items: Sequence[Item], number: int, path: str, asked: dict[str, str]) -> Paged[Item]:
    """Page `number` (the last one, when there are fewer), with links to `path` that ask the same."""
    pages = max(1, -(-len(items) // SIZE))
    number = min(number, pages)
    start = (number - 1) * SIZE
    return Paged(
        items=tuple(items[start : start + SIZE]),
        total=len(items),
        first=start + 1,
        previous=address(path, asked, number - 1) if number > 1 else None,
        following=address(path, asked, number + 1) if number < pages else None,
    )


def address(path: str, asked: dict[str, str], number: int = 1) -> str:
    """The address of a list that asks `asked`, without what is empty."""
    query = {key: value for key, value in asked.items() if value} | ({"page": str(number)} if number > 1 else {})
    return f"{path}?{urlencode(query)}" if query else path
