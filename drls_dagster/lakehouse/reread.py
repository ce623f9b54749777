"""Loading a table again on purpose: each reason is one of safety, and has a name."""

from __future__ import annotations

import logging
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

_LOG = logging.getLogger(__name__)


class Reread(Enum):
    """Why a table is loaded again although somebody has just looked at it."""

    DEBRIS = "branches of dead runs were dropped, which may have published until they died (D7, D13)"
    OWNER = "the owner is changed in the newest state (D11)"
    SCHEMA = "columns and layout are compared and changed in the newest state, and no ref has moved since (D3, D10)"
    WRITTEN = "what is audited and published is the snapshot that the run's branch has now (D9)"
    SWAP = "the last look before a ref moves by compare-and-set (D3, D14)"
    DROP = "a branch is dropped only where it is still there (D13)"
    PUT_BACK = "a rebuild that was not published is undone in the newest state (D10)"
    CONFLICT = "somebody else committed first (D14)"


def load_again(catalog: Catalog, table: Table, why: Reread) -> Table:
    """The table as it is now."""
    note_reread(table.name(), why)
    return catalog.load_table(table.name())


def note_reread(identifier: tuple[str, ...], why: Reread) -> None:
    """Logs that a table is loaded again, for whoever counts."""
    _LOG.debug("loading %s again: %s", ".".join(identifier), why.value, extra={"reread": why.name})
