"""Debris of a whole home: branches of dead runs, and of failed checks after their time (D13)."""

from __future__ import annotations

from contextlib import nullcontext

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog
from drls_dagster.lakehouse.catalog_config import resolve_catalog
from drls_dagster.lakehouse.naming import split_table_name
from drls_dagster.ledger import Ledger, open_ledger
from drls_dagster.orchestrator import DagsterOrchestrator
from drls_dagster.orchestrator.instance import has_storage
from drls_dagster.settings import Settings
from drls_dagster.steps.debris import has_ended
from lifecycle.usecases.parts.rounds import Round


def clear_debris(settings: Settings, work: Round | None = None) -> list[str]:
    """Drops what the ledger lists as debris, nothing by its name; the branches that went.

    A pipeline's next run clears its own tables; this is for those that do not run again. A branch that cannot be
    dropped is kept in `work`, and the others go; without `work` it raises.
    """
    ledger = open_ledger(settings)
    _ask_dagster(settings, ledger)
    gone: list[str] = []
    left = ledger.debris()
    if not left:
        return []
    from drls_dagster.lakehouse.locating import load_if_exists

    for one in left:
        each = work.item(f"branch:{one.table}:{one.branch}", "dropping it") if work else nullcontext()
        with each, catalog_errors(resolve_catalog(settings)):
            catalog = load_catalog(settings)
            # What a dead run's Spark session still writes would make the branch again: then the next look drops it.
            ended = has_ended(settings, one)
            table = load_if_exists(catalog, split_table_name(one.table))
            if table is not None:
                refs.drop_branch(catalog, table, one.branch)
            if not ended:
                continue
            ledger.close_branch(one.table, one.branch)
            gone.append(f"{one.table}:{one.branch}")
    return gone


def _ask_dagster(settings: Settings, ledger: Ledger) -> None:
    """A run that Dagster calls finished or cancelled is over, whatever its process says."""
    open_runs = {one.run_id for one in ledger.branches() if one.state == "open" and not one.dead}
    if open_runs and has_storage(settings):
        orchestrator = DagsterOrchestrator(settings)
        for run_id in sorted(open_runs):
            orchestrator.run_state(run_id)
