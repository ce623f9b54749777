"""Where no catalog is connected: changing tables is refused."""

from __future__ import annotations

from typing import NoReturn

from lifecycle.domain.evolution import Change, ChangeFacts, SnapshotDiff
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Refused
from lifecycle.ports import Evolution


class NoEvolution(Evolution):
    """Says that there is no catalog; it pretends nothing."""

    def plan(self, table: TableAt, change: Change) -> ChangeFacts:
        _refuse()

    def apply(self, table: TableAt, change: Change, planned: ChangeFacts) -> None:
        _refuse()

    def difference(self, table: TableAt, before: str | None, after: str | None) -> SnapshotDiff:
        _refuse()


def _refuse() -> NoReturn:
    raise Refused("no table catalog is connected to this DRLS")
