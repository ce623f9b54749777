"""Long lists in pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Query

Item = TypeVar("Item")
Other = TypeVar("Other")
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

    def of(self, items: Iterable[Other]) -> Paged[Other]:
        """The same page, with what is shown of its items."""
        return Paged(tuple(items), self.total, self.first, self.previous, self.following)


def paged(
    items: Sequence[Item],
    number: int,
    path: str,
    asked: Mapping[str, str],
    *,
    name: str = "page",
    at: str = "",
    size: int = SIZE,
) -> Paged[Item]:
    """Page `number` (the last one, when there are fewer) of `size` items, with links to `path` that ask the same.

    `name` is what the address calls the number, where several lists are on one page; `at` the list's id there.
    """
    pages = max(1, -(-len(items) // size))
    number = min(number, pages)
    start = (number - 1) * size
    there = f"#{at}" if at else ""
    return Paged(
        items=tuple(items[start : start + size]),
        total=len(items),
        first=start + 1,
        previous=address(path, asked, number - 1, name) + there if number > 1 else None,
        following=address(path, asked, number + 1, name) + there if number < pages else None,
    )


def address(path: str, asked: Mapping[str, str], number: int = 1, name: str = "page") -> str:
    """The address of a list that asks `asked`, without what is empty."""
    query = {key: value for key, value in asked.items() if value} | ({name: str(number)} if number > 1 else {})
    return f"{path}?{urlencode(query)}" if query else path
