"""What a change would do to a table as it was loaded, and how it is put into a transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.update import TableRequirement, TableUpdate


@dataclass(frozen=True)
class Look:
    """A table as it was loaded just now, under the name that people use; `ref` is what is read there."""

    name: str
    table: Table
    ref: str


@dataclass(frozen=True)
class Staged:
    """`lines` say the change for people; none: the table already is that way. Then nothing is committed.

    `stage` puts it into a transaction; `updates` and `requirements` go into the same commit. The other fields are
    those of `ChangeFacts`.
    """

    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    column: str | None = None
    layout: tuple[str, ...] | None = None
    base: int | None = None
    to: int | None = None
    undone: tuple[int, ...] = ()
    stage: Callable[[Transaction], None] | None = None
    updates: tuple[TableUpdate, ...] = ()
    requirements: tuple[TableRequirement, ...] = ()
