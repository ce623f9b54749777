"""What stands for the outside where nothing of it is connected: it says so, it pretends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from argon2 import PasswordHasher

from lifecycle.domain.data_diff import DataDiff, DiffLimits, RowKey, Side, Watch
from lifecycle.domain.environment import Environment
from lifecycle.domain.facts import SnapshotFacts, TableFacts
from lifecycle.domain.plan import PositionPlan
from lifecycle.domain.run import Outcome
from lifecycle.domain.seal import Altered, Digests, SealedFile, SealedFiles
from lifecycle.errors import Refused
from lifecycle.ports import (
    Clock,
    DataPlane,
    Evolution,
    Maintenance,
    Move,
    MoveResult,
    Notebooks,
    Orchestrator,
    ReleaseFacts,
    RunState,
    SystemClock,
    Tables,
)
from lifecycle.usecases.parts.no_evolution import NoEvolution
from lifecycle.usecases.parts.no_maintenance import NoMaintenance
from lifecycle.usecases.parts.no_notebooks import NoNotebooks
from lifecycle.usecases.parts.no_tables import NoTables


class NoDataPlane(DataPlane):
    """No catalog is connected: whatever depends on tables is refused."""

    def table(self, table: str, environment: Environment) -> TableFacts:
        _refuse(f"the state of {table} in {environment.label}")

    def snapshots(
        self, table: str, environment: Environment, head: int | None, until: int | None
    ) -> Sequence[SnapshotFacts]:
        _refuse(f"the history of {table} in {environment.label}")

    def is_on_main(self, table: str, snapshot: int) -> bool:
        _refuse(f"the history of {table}")

    def metadata_changes(self, spec: str, environment: Environment) -> Mapping[str, Sequence[str]]:
        _refuse(f"the layout of tables in {environment.label}")

    def fingerprints(self, spec: str, environment: Environment) -> Mapping[str, str]:
        _refuse(f"the connections of {environment.label}")

    def positions(self, spec: str, source: Environment, target: Environment) -> Sequence[PositionPlan]:
        _refuse(f"the positions in {source.label} and {target.label}")

    def drop_columns(self, table: str, columns: Sequence[str]) -> Sequence[str]:
        _refuse(f"the columns of {table}")

    def open_session(
        self, environment: Environment, tables: Sequence[str], seen: Mapping[str, TableFacts] | None = None
    ) -> Mapping[str, int | None]:
        _refuse(f"a fresh branch of {', '.join(tables)} for {environment.label}")

    def pin(self, table: str, environment: Environment, snapshot: int, tag: str) -> None:
        _refuse(f"a tag on {table}")

    def unpin(self, table: str, environment: Environment, tag: str) -> None:
        _refuse(f"the tags of {table}")

    def move(self, move: Move, environment: Environment) -> MoveResult:
        _refuse(f"moving {move.ref} of {move.table}")

    def undo(self, move: Move, environment: Environment) -> bool:
        _refuse(f"moving {move.ref} of {move.table}")

    def compare(
        self, table: str, before: Side, after: Side, keys: Sequence[RowKey], limits: DiffLimits, watch: Watch
    ) -> DataDiff:
        _refuse(f"the data of {table}")

    def differing(self, table: str, environment: Environment, before: int, after: int) -> Sequence[str]:
        _refuse(f"the data of {table}")

    def seal(self, table: str, environment: Environment, base: int | None, candidate: int) -> SealedFiles:
        _refuse(f"the files of {table}")

    def sealed_now(self, table: str, environment: Environment, file: SealedFile) -> SealedFiles:
        _refuse(f"the files of {table}")

    def begin_sealing(self, table: str, environment: Environment, base: int | None, candidate: int) -> None:
        return

    def altered(
        self,
        table: str,
        environment: Environment,
        sealed: Sequence[SealedFiles],
        digests: Digests,
        *,
        head: int | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> Sequence[Altered]:
        _refuse(f"the files of {table}")


class NoOrchestrator(Orchestrator):
    """Nothing is pushed; who runs pipelines looks for itself, as it must after a lost push too."""

    def run_state(self, run_id: str) -> RunState:
        return RunState.UNKNOWN

    def run_outcome(self, run_id: str) -> Outcome | None:
        return None

    def deployments_changed(self, environment: Environment) -> None:
        return

    def launch(self, environment: Environment, pipeline: str, reason: str) -> None:
        _refuse(f"a run of {pipeline} in {environment.label}")

    def released(
        self, environment: Environment, pipeline: str, tables: Mapping[str, int], release: ReleaseFacts
    ) -> None:
        return


@dataclass(frozen=True)
class Adapters:
    """What the lifecycle is given of the outside."""

    plane: DataPlane = field(default_factory=NoDataPlane)
    orchestrator: Orchestrator = field(default_factory=NoOrchestrator)
    clock: Clock = field(default_factory=SystemClock)
    passwords: PasswordHasher = field(default_factory=PasswordHasher)
    tables: Tables = field(default_factory=NoTables)
    maintenance: Maintenance = field(default_factory=NoMaintenance)
    evolution: Evolution = field(default_factory=NoEvolution)
    notebooks: Notebooks = field(default_factory=NoNotebooks)


def _refuse(what: str) -> NoReturn:
    raise Refused(f"this needs {what}, and no data plane is connected to this drls: QA is as far as it promotes")
