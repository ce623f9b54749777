"""The heads of an environment's tables, read again only for those that changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext

from drls_dagster.lakehouse.naming import table_location
from lifecycle.domain.environment import Environment
from lifecycle.ports import DataPlane
from lifecycle.usecases.parts.rounds import Round

# How long one look may take; tables that it does not come to are looked at by the next one.
BUDGET_SECONDS = 20.0
Locations = Callable[[], Mapping[str, str] | None]


class Heads:
    """The heads of source tables, as runs in `environment` would read them.

    `locations` tells in one question where every table's metadata is: only where that moved, the table can have.
    """

    def __init__(self, environment: Environment, locations: Locations) -> None:
        self._environment = environment
        self._locations = locations
        self._known: dict[str, tuple[object, int | None]] = {}
        self._looked: dict[str, float] = {}

    def of(self, plane: DataPlane, tables: Iterable[str], work: Round | None = None) -> dict[str, int | None]:
        """The head of each table, None for one without data. A table that nobody could look at yet is left out.

        One that cannot be looked at is kept in `work`, and left out; the others are looked at. Without it, this raises.
        """
        locations = self._locations()
        until = time.monotonic() + BUDGET_SECONDS
        # Those that waited longest come first.
        wanted = sorted(set(tables), key=lambda table: self._looked.get(table, 0.0))
        for table in wanted:
            mark = self._mark(locations, table)
            known = self._known.get(table)
            if mark is not None and known is not None and known[0] == mark:
                continue
            if time.monotonic() > until:
                break
            # Also when it fails, so that the others come first the next time.
            self._looked[table] = time.monotonic()
            self._known.pop(table, None)
            with work.item(f"table:{table}", "looking for new data") if work else nullcontext():
                self._known[table] = (mark, plane.table(table, self._environment).head)
        return {table: self._known[table][1] for table in wanted if table in self._known}

    def _mark(self, locations: Mapping[str, str] | None, table: str) -> object:
        if locations is None:
            return None
        own = table_location(self._environment, table).name
        return (locations.get(own, ""), locations.get(table, ""))
