"""What the outside does for the lifecycle: data (Iceberg), runs (Dagster), time, messages.

Adapters live outside; their fakes live in tests, and one behaviour suite runs against both. Facts
are asked and moves are made here; whether a move may be made is decided in `domain` and `usecases`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from lifecycle.domain.data_diff import DataDiff, DiffLimits, RowKey, Side, Watch
from lifecycle.domain.environment import Environment
from lifecycle.domain.evolution import Change, ChangeFacts, SnapshotDiff
from lifecycle.domain.facts import SnapshotFacts, TableFacts
from lifecycle.domain.model import Frozen, SnapshotId
from lifecycle.domain.notebooks import Notebook
from lifecycle.domain.operations import Operation, OperationAt, OperationKind, OperationPlan, OperationState, Options
from lifecycle.domain.people import Actor, Person
from lifecycle.domain.plan import PositionPlan
from lifecycle.domain.run import Outcome
from lifecycle.domain.run_facts import RunFacts
from lifecycle.domain.seal import Altered, Digests, SealedFile, SealedFiles
from lifecycle.domain.table_files import FilesAsked, TableFiles
from lifecycle.domain.table_health import HealthLook, HealthReport, TableHealth
from lifecycle.domain.table_policy import TablePolicy
from lifecycle.domain.tables import (
    EVERY_COLUMN,
    ChangesAsked,
    ColumnPage,
    Point,
    QueryEngine,
    QueryRows,
    ReadLimits,
    SchemaFacts,
    SnapshotRow,
    StatisticsAsked,
    TableAt,
    TableChanges,
    TableDescription,
    TableRows,
    TableStatistics,
    TableSummary,
)
from lifecycle.domain.version import Label


class Clock(ABC):
    """The only source of time; always aware, always UTC (L8)."""

    @abstractmethod
    def now(self) -> datetime:
        """The present."""


class SystemClock(Clock):
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Move(Frozen):
    """A compare-and-set of `ref` from `base` (None: the ref has no snapshot) to `candidate`.

    `tag` is made in the same commit and must be new; `metadata_changes`, in the words of
    `DataPlane.metadata_changes`, are applied in it.
    """

    table: str
    ref: str
    base: SnapshotId | None
    candidate: SnapshotId
    tag: str
    metadata_changes: tuple[str, ...] = ()


class MoveResult(StrEnum):
    """MOVED now; ALREADY by an earlier try: the tag is there, at the candidate.

    CONFLICT: the ref is not at `base`, the candidate is gone, the tag is somebody else's, or what a metadata
    change starts from no longer holds.
    """

    MOVED = "moved"
    ALREADY = "already"
    CONFLICT = "conflict"


class DataPlane(ABC):
    """Iceberg refs. Each call is atomic and safe to repeat; none asks who may do it.

    A call that cannot reach the catalog raises; the caller leaves its journal for resume.
    """

    def one_look(self, *, thorough: bool = True) -> DataPlane:
        """This plane, whose reads all see a table as the first of them found it. For facts that belong together.

        What it changes starts from the newest state all the same. `thorough`: nothing is known of a table from before,
        not even what a file says that never changes; otherwise, as for a page, such files are read once.
        """
        return self

    @abstractmethod
    def table(self, table: str, environment: Environment) -> TableFacts:
        """A table as `environment` sees it now: its own ref where it has one, else main."""

    @abstractmethod
    def snapshots(
        self, table: str, environment: Environment, head: int | None, until: int | None
    ) -> Sequence[SnapshotFacts]:
        """The ancestors of `head`, itself first, back to and without `until`.

        All of them when `until` is no ancestor, none when `head` is None.
        """

    @abstractmethod
    def is_on_main(self, table: str, snapshot: int) -> bool:
        """Whether `snapshot` is main's head or an ancestor of it."""

    @abstractmethod
    def metadata_changes(self, spec: str, environment: Environment) -> Mapping[str, Sequence[str]]:
        """What a version's sinks want otherwise in their tables than it is, by table, a line each (D10).

        Partitioning, sort order and properties; nothing in QA and UAT, which may not change them.
        """

    @abstractmethod
    def fingerprints(self, spec: str, environment: Environment) -> Mapping[str, str]:
        """For each source node that is no Iceberg table: what its connection or path resolves to, hashed."""

    @abstractmethod
    def positions(self, spec: str, source: Environment, target: Environment) -> Sequence[PositionPlan]:
        """Where incremental reading would continue in `target` (D4), from the sinks as they are in `source`.

        That is the environment whose data comes along, or `target` itself where no data does.
        """

    @abstractmethod
    def drop_columns(self, table: str, columns: Sequence[str]) -> Sequence[str]:
        """Takes optional columns out of the real table, but for those that main has a value in (D10).

        Returns those that the table does not have now, whoever removed them: the caller may have been killed after it.
        """

    @abstractmethod
    def open_session(
        self, environment: Environment, tables: Sequence[str], seen: Mapping[str, TableFacts] | None = None
    ) -> Mapping[str, int | None]:
        """Puts each table's branch of `environment` freshly on main (D9); returns where each starts.

        `seen` is what `table` said of them before the caller got leave to do this: raises Conflict, before it
        changes a table, where that no longer holds.
        """

    @abstractmethod
    def pin(self, table: str, environment: Environment, snapshot: int, tag: str) -> None:
        """Keeps `snapshot` under `tag`, so that it outlives its branch; repeating changes nothing."""

    @abstractmethod
    def unpin(self, table: str, environment: Environment, tag: str) -> None:
        """Removes `tag`; nothing when it is not there."""

    @abstractmethod
    def move(self, move: Move, environment: Environment) -> MoveResult:
        """The compare-and-set, with the release tag, in one commit."""

    @abstractmethod
    def undo(self, move: Move, environment: Environment) -> bool:
        """Puts a moved ref back from `candidate` to `base` and removes the tag.

        Metadata changes go back too where the table still has what the move made of it; columns stay. True
        when the ref has not moved since, False when others wrote on top of it since.
        """

    @abstractmethod
    def compare(
        self, table: str, before: Side, after: Side, keys: Sequence[RowKey], limits: DiffLimits, watch: Watch
    ) -> DataDiff:
        """What differs between two snapshots of `table`; reads data, which may take minutes, and changes nothing.

        `keys`, best first: the first one that both sides have says which row of one is which of the other. Raises
        LifecycleError for a snapshot that expired, for data that cannot be read, and the one that `watch` raises to
        end it.
        """

    @abstractmethod
    def differing(self, table: str, environment: Environment, before: int, after: int) -> Sequence[str]:
        """What tells the rows of two snapshots apart, in words; nothing where row counts and column sums are the same.

        Reads data, which may take minutes. Raises LifecycleError for a snapshot that is gone.
        """

    @abstractmethod
    def seal(self, table: str, environment: Environment, base: int | None, candidate: int) -> SealedFiles:
        """Every file that a publish of `candidate` over `base` makes visible, with what is in it now (L17).

        Local files become read-only. Raises LifecycleError where a file is not what its manifest says, or changes
        meanwhile.
        """

    @abstractmethod
    def begin_sealing(self, table: str, environment: Environment, base: int | None, candidate: int) -> None:
        """Lets `seal` begin early, in the background; what goes wrong is raised by `seal`."""

    @abstractmethod
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
        """Which sealed files are not as they were published; sizes are always looked at.

        With `head`, a file that this snapshot does not need may be gone. `alive` is called every few seconds.
        """

    @abstractmethod
    def sealed_now(self, table: str, environment: Environment, file: SealedFile) -> SealedFiles:
        """A sealed file as it is now, alone. Raises LifecycleError when it cannot be read."""


class Tables(ABC):
    """Iceberg tables, read for people. Changes nothing, and asks nobody's rights: callers have done that.

    Raises NotFound for a table, ref, snapshot or column that is not there, Invalid for what cannot be asked,
    Unavailable when the catalog does not answer.
    """

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Every table of the catalog, by name."""

    @abstractmethod
    def summaries(self, names: Sequence[str], environment: Environment | None = None) -> Sequence[TableSummary]:
        """One for each name; a table that cannot be read has its error, one that is gone is left out.

        With `environment`, names are those that pipelines use, and one that is not there yet is left out.
        """

    @abstractmethod
    def describe(self, table: TableAt, real: str | None) -> TableDescription:
        """A table, with the heads of all environments where `real` is the name that pipelines use for it."""

    @abstractmethod
    def schema(self, table: TableAt, *, search: str, after: int, limit: int) -> SchemaFacts:
        """Columns whose path contains `search`, from the position `after`."""

    @abstractmethod
    def history(
        self, table: TableAt, ref: str | None, before: int | None, limit: int
    ) -> tuple[Sequence[SnapshotRow], bool]:
        """Snapshots, newest first, behind `before`, and whether there are more. With `ref`, only its ancestors."""

    @abstractmethod
    def preview(
        self,
        table: TableAt,
        point: Point,
        columns: Sequence[str],
        limits: ReadLimits,
        page: ColumnPage = EVERY_COLUMN,
    ) -> TableRows:
        """The first rows; of the columns of `page` when none are named."""

    @abstractmethod
    def query(
        self,
        sql: str,
        may: Callable[[str], None],
        environment: Environment | None,
        ref: str | None,
        limits: ReadLimits,
        engine: QueryEngine = QueryEngine.DUCKDB,
    ) -> QueryRows:
        """The answer to one SELECT. `may` is called with each table's name before it is looked for; it may raise."""

    @abstractmethod
    def statistics(self, table: TableAt, point: Point, ask: StatisticsAsked, limits: ReadLimits) -> TableStatistics:
        """Column statistics; reads data."""

    @abstractmethod
    def files(self, table: TableAt, point: Point, asked: FilesAsked) -> TableFiles:
        """The files of a snapshot, from its manifests."""

    @abstractmethod
    def changes(self, table: TableAt, ask: ChangesAsked, limits: ReadLimits) -> TableChanges:
        """Changes between two snapshots; reads data. Raises Refused where they cannot be known."""

    @abstractmethod
    def health(self, table: TableAt, *, orphans: bool = False) -> HealthReport:
        """How its files are, from metadata alone; kept for the history where it is of `main`.

        `orphans` also counts files that nothing needs, which lists the table's folder; such a look is not kept.
        """

    @abstractmethod
    def healths(self, names: Sequence[str]) -> Sequence[TableHealth]:
        """One for each name; a table that cannot be read has its error, one that is gone is left out.

        Only tables that changed since the last look are read again.
        """

    @abstractmethod
    def health_history(self, name: str, before: float | None, limit: int) -> Sequence[HealthLook]:
        """Looks at a table, newest first, before a time in seconds since the epoch.

        Raises NotFound for a table that is not there and that nobody has looked at.
        """


class Maintenance(ABC):
    """Operations on tables, each in a process of its own. Asks nobody's rights: callers have done that.

    Raises NotFound for a table, ref, column or operation that is not there, Invalid for what cannot be done at all.
    """

    @abstractmethod
    def kinds(self) -> Sequence[OperationKind]:
        """What this installation can do."""

    @abstractmethod
    def locate(self, table: TableAt, ref: str | None) -> OperationAt:
        """The table and the branch that are meant; without `ref`, the one that the environment reads."""

    @abstractmethod
    def policy(self, at: OperationAt, now: datetime) -> TablePolicy:
        """What may happen to the table without being asked."""

    @abstractmethod
    def plan(self, kind: OperationKind, at: OperationAt, options: Options) -> OperationPlan:
        """What it would do now; reads metadata only and changes nothing."""

    @abstractmethod
    def reserve(
        self, at: OperationAt, plan: OperationPlan, options: Options, actor: Actor, pipeline: str | None
    ) -> Operation:
        """A new operation that does nothing yet; `pipeline`: whose permits it publishes under.

        Raises Conflict where another one is at work on the table.
        """

    @abstractmethod
    def forget(self, operation_id: int) -> None:
        """Takes a reservation back."""

    @abstractmethod
    def launch(self, operation_id: int) -> None:
        """Starts the process of a reserved one."""

    @abstractmethod
    def operation(self, operation_id: int) -> Operation:
        """How it is now."""

    @abstractmethod
    def operations(
        self, table: str | None, states: Sequence[OperationState], before: int | None, limit: int
    ) -> Sequence[Operation]:
        """Newest first, behind `before`; without `table`, of all."""

    @abstractmethod
    def cancel(self, operation_id: int) -> None:
        """Asks it to stop; what is over stays as it is."""


class Evolution(ABC):
    """Changes of Iceberg tables by hand. Asks nobody's rights: callers have done that.

    Raises NotFound for a table, column, ref or snapshot that is not there, Invalid and Refused for what cannot be done,
    Conflict when others were faster, Unavailable when the catalog does not answer.
    """

    @abstractmethod
    def plan(self, table: TableAt, change: Change) -> ChangeFacts:
        """What a change does to the table as it is now; changes nothing."""

    @abstractmethod
    def apply(self, table: TableAt, change: Change, planned: ChangeFacts) -> None:
        """The change, in one metadata commit. Raises Conflict where it is no longer what was planned."""

    @abstractmethod
    def difference(self, table: TableAt, before: str | None, after: str | None) -> SnapshotDiff:
        """What differs between two snapshots (ids, refs), from metadata; by default the newest and the one before."""


class Notebooks(ABC):
    """Notebooks of people on the machine that runs pipelines: at most one for each."""

    @abstractmethod
    def start(self, person: Person) -> Notebook:
        """Starts it and waits until it answers; the one that runs, if one does. Raises Refused, TooMany."""

    @abstractmethod
    def stop(self, person: Person) -> Notebook:
        """Ends it with all that it started; without effect if none runs."""

    @abstractmethod
    def find(self, person: Person) -> Notebook:
        """The person's notebook as it is now."""


class RunState(StrEnum):
    """What the orchestrator knows of a run; UNKNOWN: it has never heard of it, or forgot it."""

    ACTIVE = "active"
    ENDED = "ended"
    UNKNOWN = "unknown"


class ReleaseFacts(Frozen):
    """What a promotion made active, for people to read; `promotion` is the request that brought it."""

    version: int
    digest: str
    label: Label
    promotion: int | None


class Orchestrator(ABC):
    """Dagster, as far as the lifecycle needs it. It pushes; sensors catch what a push missed."""

    @abstractmethod
    def run_state(self, run_id: str) -> RunState:
        """Whether a run can still do something."""

    @abstractmethod
    def run_outcome(self, run_id: str) -> Outcome | None:
        """How a run ended; None while it is running, and for one that is not known. For people, not for rules (L14)."""

    @abstractmethod
    def deployments_changed(self, environment: Environment) -> None:
        """What is active in `environment`, or by policy starts there automatically, has changed."""

    @abstractmethod
    def launch(self, environment: Environment, pipeline: str, reason: str) -> None:
        """Starts a run of the active version, through the gate like any other."""

    @abstractmethod
    def released(
        self, environment: Environment, pipeline: str, tables: Mapping[str, int], release: ReleaseFacts
    ) -> None:
        """A promotion carried these snapshots: report a materialization each (L14). Never raises."""

    def run_facts(self, run_id: str) -> RunFacts | None:
        """All that is remembered of a run, for people; None for one that is not known here."""
        return None

    def good_runs_before(self, run_id: str) -> Sequence[str]:
        """Some earlier runs that seem to be of the same pipelines and environment and succeeded, newest first."""
        return ()

    def stopped(self) -> Sequence[str]:
        """A sentence for each part that keeps the installation in order and is stopped. Fast, and never raises."""
        return ()


class Message(Frozen):
    """A notification for one receiver; `body` is JSON, `key` is the same in each retry."""

    key: str
    event: str
    receiver: str
    body: dict[str, Any]


class Notifier(ABC):
    """Delivers one message, or raises; the outbox retries."""

    @abstractmethod
    def deliver(self, message: Message) -> None:
        """Returns when the receiver has taken the message."""
