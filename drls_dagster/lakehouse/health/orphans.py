"""Files in a table's folder that no snapshot needs. Counting them lists the folder, so it is done on request only."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.listing import files_below, of_others, unknown
from drls_dagster.lakehouse.reachable import Paths, needed
from lifecycle.domain.table_health import HealthKind, Measure

if TYPE_CHECKING:
    from pyiceberg.table import Table

# A write that is under way may be about to commit younger ones.
GUARD = timedelta(days=3)


def orphans(table: Table) -> Measure:
    """How many there are, older than the guard."""
    until = time.time() - GUARD.total_seconds()
    # Listed first: what is written meanwhile is younger.
    listed = [
        one for one in files_below(table.io, table.location()) if one.modified < until and not of_others(one.path)
    ]
    known = Paths()
    known.add([table.metadata_location, *(one.metadata_file for one in table.metadata.metadata_log)])
    for portion in needed(table.io, table.metadata):
        known.add(portion)
    found = unknown(listed, known)
    count, size = len(found), sum(one.size for one in found)
    return Measure(
        kind=HealthKind.ORPHANS,
        number=count,
        text=f"{count:,} files of {size:,} bytes that no snapshot needs, older than {GUARD.days} days",
        advice=f"remove {count:,} orphaned files",
    )
