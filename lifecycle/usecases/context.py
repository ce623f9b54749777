"""What every verb works with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from argon2 import PasswordHasher

from lifecycle.domain.fence import FenceFinder, unknown_fence
from lifecycle.ports import Clock, DataPlane, Evolution, Maintenance, Notebooks, Orchestrator, Tables
from lifecycle.store.store import Store
from lifecycle.usecases.parts.comparisons import Comparisons
from lifecycle.usecases.parts.no_evolution import NoEvolution
from lifecycle.usecases.parts.no_maintenance import NoMaintenance
from lifecycle.usecases.parts.no_notebooks import NoNotebooks
from lifecycle.usecases.parts.no_tables import NoTables


@dataclass(frozen=True, slots=True)
class Context:
    """The store and the ports. `executor` names this process where leases are shown; no two share one.

    `passwords` hashes with Argon2id, by default as RFC 9106 recommends for little memory. `comparisons` of data are
    computed and kept by this process. `fence` says what confines pipeline code here. `tables` are for people
    to read, `evolution` for them to change.
    """

    store: Store
    plane: DataPlane
    orchestrator: Orchestrator
    clock: Clock
    executor: str
    search_path: Sequence[Path] = field(default=())
    lease: timedelta = timedelta(seconds=60)
    passwords: PasswordHasher = field(default_factory=PasswordHasher)
    comparisons: Comparisons = field(default_factory=Comparisons)
    fence: FenceFinder = unknown_fence
    tables: Tables = field(default_factory=NoTables)
    maintenance: Maintenance = field(default_factory=NoMaintenance)
    evolution: Evolution = field(default_factory=NoEvolution)
    notebooks: Notebooks = field(default_factory=NoNotebooks)
