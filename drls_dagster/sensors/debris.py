"""Debris of a whole home: branches of dead runs, and of failed checks after their time (D13)."""

from __future__ import annotations

from drls_dagster.engine.session import interrupt
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.naming import split_table_name
from drls_dagster.ledger import Ledger
from drls_dagster.settings import Settings


def clear_debris(settings: Settings) -> list[str]:
    """Drops what the ledger lists as debris, nothing by its name; the branches that went.

    A pipeline's next run clears its own tables; this is for those that do not run again.
    """
    ledger = Ledger(settings)
    try:
        left = [one for one in ledger.branches() if one.is_debris]
        if not left:
            return []
        from drls_dagster.lakehouse.prepare import load_if_exists

        catalog = load_catalog(settings)
        for one in left:
            # What a dead run's Spark session still writes would make the branch again.
            interrupt(settings, one.session_id, one.engine_id)
            table = load_if_exists(catalog, split_table_name(one.table))
            if table is not None:
                refs.drop_branch(catalog, table, one.branch)
            ledger.close_branch(one.table, one.branch)
        return [f"{one.table}:{one.branch}" for one in left]
    finally:
        ledger.close()
