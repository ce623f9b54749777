"""The board: pipelines by environments, each cell with what is active there and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lifecycle.app.kit import links
from lifecycle.app.kit.cells import Cell, cells_of
from lifecycle.app.kit.paging import Paged, paged
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.policy import Hold
from lifecycle.store.unit import View
from lifecycle.usecases.catalog import Search, catalog


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A pipeline."""

    name: str
    url: str
    newest: int
    newest_url: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """An environment, with its freezes and stops."""

    environment: Environment
    url: str
    holds: tuple[Hold, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A page of rows."""

    columns: tuple[Column, ...]
    page: Paged[BoardRow]


def board(
    view: View, actor: Actor, search: Search, number: int, dagster: str | None, asked: Mapping[str, str]
) -> Board:
    """What the actor may see, by name; everything about the rows of one page is read in a few statements.

    `asked` is what the links to other pages also ask.
    """
    heads = catalog(view, actor, search)
    holds = view.policies.holds()
    part = paged(heads, number, "/", asked, at="board")
    rows = tuple(
        BoardRow(
            name=head.name,
            url=links.pipeline(head.name),
            newest=head.number,
            newest_url=links.version(head.name, head.number),
            cells=cells,
        )
        for head, cells in zip(part.items, cells_of(view, part.items, holds, dagster), strict=True)
    )
    page = part.of(rows)
    columns = tuple(
        Column(
            environment=environment,
            url=links.environment(environment.value),
            holds=tuple(hold for hold in holds if hold.environment is environment and hold.pipeline_id is None),
        )
        for environment in Environment
    )
    return Board(columns, page)
