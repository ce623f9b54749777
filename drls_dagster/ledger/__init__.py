"""What runs must remember besides the tables: pins, run branches, publishes, outputs, check results, and who lives.

Everything is keyed by the *run key*: the run's id, or the id of the run it resumes (re-execution from failure), so
that a repeated step finds what its first try did (D2, D7). It lies next to the lifecycle: in schema `drls_runs` of its
PostgreSQL database, or in DRLS_HOME/runs.db (ADR 24).
"""

from drls_dagster.ledger.branches import FAILED_CHECK_DAYS, RunBranch
from drls_dagster.ledger.executions import Life, RunTakenForDead
from drls_dagster.ledger.ledger import Ledger, close_ledgers, open_ledger
from drls_dagster.ledger.place import Place, Worker, place_of, this_worker
from drls_dagster.ledger.publishes import PublishRecord
from drls_dagster.ledger.told import About
from drls_dagster.ledger.upkeep import check_ledger, upgrade_ledger

__all__ = [
    "FAILED_CHECK_DAYS",
    "About",
    "Ledger",
    "Life",
    "Place",
    "PublishRecord",
    "RunBranch",
    "RunTakenForDead",
    "Worker",
    "check_ledger",
    "close_ledgers",
    "open_ledger",
    "place_of",
    "this_worker",
    "upgrade_ledger",
]
