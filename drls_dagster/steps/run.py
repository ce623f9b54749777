"""One run of a pipeline in one process: what it is pinned to and what its steps share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from drls_dagster.engine.code_process import CodeProcess
from drls_dagster.engine.session import EngineSession
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.locating import TableLook
from drls_dagster.lakehouse.positions import At
from drls_dagster.ledger import PublishRecord
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.memory import RunMemory
from drls_dagster.runs.step_spans import SpanKind, StepSpans
from drls_dagster.settings import Settings
from drls_dagster.steps.sources.kind import Standing
from drls_dagster.steps.sources.kinds import kind_of
from drls_dagster.steps.sources.pins import Pin, Place
from drls_dagster.steps.sources.tally import RowsRead
from drls_dagster.steps.window import Window
from lifecycle.domain.environment import Environment
from lifecycle.domain.run import CheckResult
from lifecycle.spec import PipelineSpec, SinkNode, SourceNode, digest

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

FIRST = "0"


@dataclass(frozen=True)
class SourceRead:
    """A source as one sink reads it: its pin, and the positions between which it reads, where the kind has any."""

    pin: Pin
    start: At | None = None
    end: At | None = None


Reads = Mapping[str, SourceRead]


@dataclass(frozen=True)
class Publication:
    """What a sink is about to publish, or has published: `table` as the spec names it, `candidate` a snapshot id."""

    sink: str
    table: str
    table_uuid: str
    partition: str
    base: int | None
    candidate: int
    reads: Reads
    checks: tuple[CheckResult, ...] = ()
    positions: Mapping[str, At] = field(default_factory=dict)
    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    rows_read: Mapping[str, RowsRead] = field(default_factory=dict)  # by source


class Gate(Protocol):
    """Permission to continue and to publish; where there is no gate (a draft in development), none is needed."""

    def ask_again(self) -> None:
        """Before each step. Raises DrlsError when the run may not continue."""
        ...

    def gave_up(self, owner: str, table: str) -> bool:
        """Whether the lifecycle knows the pipeline `owner`, and no active version of it still writes `table` (D11)."""
        ...

    def tries(self, table: str, added: Sequence[str], columns: Sequence[str]) -> None:
        """Before a branch of the real `table` is written with `columns`, of which `added` are new in it (D10)."""
        ...

    def written(self, table: str, base: int | None, candidate: int) -> None:
        """`candidate` is written, to be published over `base` if its checks pass: its files can be sealed (L17)."""
        ...

    def confirm(self, publication: Publication) -> None:
        """After a publish that an earlier try made. Raises DrlsError where nobody gave leave for it."""
        ...


@dataclass
class PipelineRun:
    """What the steps of a run share. `run_key` is the run's id, or that of the run it resumes (D7)."""

    spec: PipelineSpec
    environment: Environment
    settings: Settings
    catalog: Catalog
    runs: RunClient
    memory: RunMemory
    open_session: Callable[[], EngineSession]
    run_id: str
    run_key: str
    parameters: Mapping[str, Any]
    window: Window | None = None
    search_path: tuple[str, ...] = ()
    log: Callable[[str], None] = lambda _: None
    gate: Gate | None = None
    spans: StepSpans = field(default_factory=StepSpans)
    version: str = field(init=False)
    code: CodeProcess = field(init=False)

    def __post_init__(self) -> None:
        self.version = digest(self.spec)
        self.code = CodeProcess(self.settings)

    @property
    def session(self) -> EngineSession:
        found = self.open_session()
        from drls_dagster.engine.connection import import_no_types

        import_no_types()
        return found

    @property
    def place(self) -> Place:
        """Where the sources of the run are looked for."""
        return Place(
            self.settings,
            self.environment,
            self.catalog,
            self.runs.connection,
            lambda: self.session.spark,
            self.parameters,
        )

    def reads_of(
        self, node_id: str, sink: SinkNode | None = None, look: TableLook | None = None, epoch: str = FIRST
    ) -> Reads:
        """How every source above `node_id` is read for `sink`, whose table is as `look` found it.

        `epoch` tells a second try, which pins anew because the sink's table moved, from the first.
        """
        found: dict[str, SourceRead] = {}
        for source_id in (*self.spec.ancestors(node_id), node_id):
            node = self.spec.node(source_id)
            if isinstance(node, SourceNode):
                found[source_id] = self._read(node, sink, look, epoch)
        return found

    def _read(self, node: SourceNode, sink: SinkNode | None, look: TableLook | None, epoch: str) -> SourceRead:
        kind, place = kind_of(node), self.place

        def pin_now() -> Any:
            with self.spans.span(SpanKind.SOURCE, node.id):
                return kind.pin(node.id, node.source, place).stored()

        stored = self.memory.pin(epoch, node.id, pin_now)
        try:
            pin = kind.pinned(stored)
        except (KeyError, TypeError, ValueError):
            raise DrlsError(
                f"node '{node.id}': the run being resumed read a different kind of source there; start a new run"
            ) from None
        table, base = (look.table, look.read) if look is not None else (None, None)
        standing = None if sink is None else Standing(sink, table, base, lambda: self._published(sink, table))
        read = kind.position(node.source, pin, place, standing)
        return SourceRead(pin, read.start, read.end)

    def _published(self, sink: SinkNode, table: Table | None) -> list[PublishRecord]:
        return [] if table is None else self.memory.publishes(sink.table, str(table.metadata.table_uuid))
