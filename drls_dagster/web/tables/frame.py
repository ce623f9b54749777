"""What all pages of one table have around them: its name, its views, and the environments it can be looked at in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from starlette.responses import Response

from drls_dagster.web.tables import links
from lifecycle.app.kit.guard import Visitor
from lifecycle.app.kit.render import render
from lifecycle.domain.environment import Environment
from lifecycle.domain.tables import TableAt
from lifecycle.errors import LifecycleError, Unauthorized
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.visible_tables import (
    SeenTables,
    Use,
    namespace_of,
    real_name,
    seen_tables,
    unknown_table,
)

VIEWS = {
    "": "Overview",
    "columns": "Columns",
    "preview": "Preview",
    "snapshots": "Snapshots",
    "files": "Files",
    "health": "Health",
    "lineage": "Lineage",
}
ENVIRONMENT = Query(pattern=f"^({'|'.join(one.value for one in Environment)})?$")


@dataclass(frozen=True, slots=True)
class Tab:
    """A view of the table."""

    word: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A way to look at the table; `environment` None: exactly the one that is named."""

    environment: Environment | None
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """`places` is empty for a table that no pipeline uses: it belongs to no environment."""

    at: TableAt
    namespace: str
    short: str
    tabs: tuple[Tab, ...]
    places: tuple[Place, ...]
    uses: tuple[Use, ...]

    @property
    def name(self) -> str:
        return self.at.name

    @property
    def namespace_url(self) -> str:
        return links.explorer(namespace=self.namespace, environment=self.at.environment and self.at.environment.value)

    def url(self, view: str = "", **asked: object) -> str:
        """A view of this table, in the same environment."""
        return links.table(self.name, view, self.at.environment, **asked)


def asked_table(
    name: Annotated[str, Path(min_length=1, max_length=1_000, pattern=r"^[^\x00]*$")],
    environment: Annotated[str, ENVIRONMENT] = "",
) -> TableAt:
    """The table that an address names."""
    return TableAt(name=links.name_in(name), environment=Environment(environment) if environment else None)


Asked = Annotated[TableAt, Depends(asked_table)]


def frame_of(ctx: Context, who: Visitor, at: TableAt, view: str = "") -> Frame:
    """Raises NotFound, as for a table that does not exist, where the visitor may not see it."""
    with ctx.store.read() as read:
        seen = seen_tables(read, who.actor)
    seen.require(at.name)
    return _frame(seen, at, view)


def page(
    ctx: Context,
    request: Request,
    who: Visitor,
    at: TableAt,
    view: str,
    make: Callable[[Frame], Mapping[str, Any]],
) -> Response:
    """A view of a table. What cannot be read is said inside the page, so that its other views stay in reach."""
    frame = frame_of(ctx, who, at, view)
    try:
        values = make(frame)
    except Unauthorized:
        raise
    except LifecycleError as error:
        if error.message == unknown_table(at.name).message and at.environment is None:
            raise
        return render(request, "tables/trouble.html", status=error.status, frame=frame, why=error.message)
    return render(request, f"tables/{view or 'overview'}.html", frame=frame, **values)


def _frame(seen: SeenTables, at: TableAt, view: str) -> Frame:
    uses = seen.of(at.name)
    namespace = namespace_of(at.name)
    return Frame(
        at=at,
        namespace=namespace,
        short=at.name[len(namespace) + 1 :],
        tabs=tuple(Tab(word, links.table(at.name, name, at.environment), name == view) for name, word in VIEWS.items()),
        places=_places(at, view) if uses and '"' not in at.name else (),
        uses=uses,
    )


def _places(at: TableAt, view: str) -> tuple[Place, ...]:
    real = real_name(at.name)
    exact = Place(None, links.table(at.name, view), at.environment is None)
    return exact, *(Place(one, links.table(real, view, one), at.environment is one) for one in Environment)
