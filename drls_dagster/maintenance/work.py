"""What an operation on a table works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from drls_dagster.errors import DrlsError
from drls_dagster.settings import Settings
from lifecycle.domain.operations import Progress

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.update import AddSnapshotUpdate


class Cancelled(DrlsError):
    """Somebody asked the operation to stop."""


@dataclass(frozen=True)
class Keep:
    """What a table must keep, each with the reason in words: refs by name, snapshots by id."""

    refs: Mapping[str, str] = field(default_factory=dict[str, str])
    snapshots: Mapping[int, str] = field(default_factory=dict[int, str])


@dataclass(frozen=True)
class Note:
    """Something that an operation wrote down before it did it."""

    id: int
    operation: int
    kind: str
    facts: Mapping[str, Any]


class Journal(Protocol):
    """Notes of an operation that outlive its process."""

    def note(self, kind: str, **facts: Any) -> Note:
        """Writes it down durably; call it BEFORE the act. `facts` are JSON."""
        ...

    def notes(self, kind: str) -> Sequence[Note]:
        """Open notes of this operation and of those on this table that died or failed, oldest first."""
        ...

    def settle(self, notes: Sequence[Note]) -> None:
        """What they announced is completed or cleaned up: nobody needs to look at them again."""
        ...


class Publish(Protocol):
    """Makes a snapshot the head of a ref."""

    def __call__(self, table: Table, ref: str, base: int | None, add: AddSnapshotUpdate, snapshot_id: int) -> Table:
        """The table as the commit left it. One compare-and-set; on a governed ref under a permit, with a receipt.

        Raises RefMoved where `ref` is no longer at `base`; nothing is left of the snapshot then.
        """
        ...


@dataclass
class Work:
    """One operation on `table`, which is `name` in the catalog, at `ref`. `governed`: it publishes under a permit."""

    settings: Settings
    catalog: Catalog
    table: Table
    name: str
    ref: str
    keep: Keep
    journal: Journal
    publish: Publish
    told: Callable[[Progress], None] = lambda _: None
    governed: bool = False

    def report(self, progress: Progress) -> None:
        """Shows how far it is. Raises Cancelled when somebody cancelled; call it at least every second."""
        self.told(progress)
