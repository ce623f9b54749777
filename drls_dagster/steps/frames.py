"""Frames: each node as a Spark DataFrame, built once per run and recipe (D2).

A frame is known by its node and by how every source above it is read, so two sinks that are at different
positions get different frames of the same node.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.positions import Read
from drls_dagster.steps.reported import Report
from drls_dagster.steps.run import PipelineRun, Reads
from drls_dagster.steps.sources.kinds import kind_of
from drls_dagster.steps.sources.pins import Reader
from drls_dagster.steps.sources.tally import LIMITED, SORTED, UNSAID, RowsRead, Tally
from drls_dagster.steps.staging import staging_folder
from drls_dagster.steps.version_code import code_of
from lifecycle.spec import AnyNode, AnyTransform, SourceNode, subtree_digest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from drls_dagster.engine.counting import Watch

StepT = TypeVar("StepT", bound=AnyTransform)


@dataclass(frozen=True)
class Builder(Generic[StepT]):
    """How the frame of a step is made.

    `keeps_output`: the result lies in files of the run, so that its sources may change from then on. `report`: what the
    step's own code said, once its frame is built.
    """

    build: Callable[[Frames, StepT, Reads], DataFrame]
    keeps_output: bool = False
    report: Callable[[Frames, StepT, Reads], Report] = lambda *_: Report()


@dataclass(frozen=True)
class _Kept:
    run: PipelineRun
    node: str
    key: str

    def files(self) -> list[list[Any]] | None:
        return self.run.memory.output(self.node, self.key)

    def keep(self, files: list[list[Any]]) -> None:
        self.run.memory.record_output(self.node, self.key, files)


class Frames:
    """The frames of one run in one Spark session; `builders` by step kind."""

    def __init__(self, run: PipelineRun, builders: Mapping[str, Builder[Any]]) -> None:
        self.run = run
        self._builders = builders
        self._session_id = ""
        self._frames: dict[str, DataFrame] = {}
        self._recipes: dict[str, list[object]] = {}
        self._tallies: dict[str, Tally] = {}

    def frame(self, node_id: str, reads: Reads) -> DataFrame:
        """The DataFrame of a source or transform, its upstream frames built first."""
        session = self.run.session
        if session.session_id != self._session_id:  # the engine was restarted: its frames are gone with it
            self._frames.clear()
            self._session_id = session.session_id
        key = self.key(node_id, reads)
        if key not in self._frames:
            self._frames[key] = self._build(node_id, reads)
        return self._frames[key]

    def key(self, node_id: str, reads: Reads) -> str:
        """Names the recipe: the node, and the reads of the sources above it."""
        above = {*self.run.spec.ancestors(node_id), node_id}
        catalog = self.run.settings.catalog.name
        relevant = {
            name: [{**read.pin.stored(), "catalog": catalog}, read.start, read.end]
            for name, read in reads.items()
            if name in above
        }
        window = self.run.window.id if self.run.window else ""
        text = json.dumps([self._recipe(node_id, above), relevant, window], sort_keys=True)
        return f"{node_id}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def _recipe(self, node_id: str, above: set[str]) -> list[object]:
        """A resumed run may have other code or parameters than the one whose outputs it would take."""
        if node_id not in self._recipes:
            spec, values = self.run.spec, self.run.parameters
            used = {name for node in above for name in spec.used_parameters(node)}
            given = {name: str(values[name]) for name in used if name in values}
            self._recipes[node_id] = [subtree_digest(spec, node_id), given]
        return self._recipes[node_id]

    def view(self, node_id: str, reads: Reads) -> str:
        """The node's frame as a temporary view of a name that no other recipe has.

        Over Connect a frame is analysed again at each action: a view that is replaced would change what older
        frames mean.
        """
        frame = self.frame(node_id, reads)
        name = f"drls_{self.key(node_id, reads)}"
        frame.createOrReplaceTempView(name)
        return name

    def report(self, node_id: str, reads: Reads) -> Report:
        """What the code of a step said of itself for that recipe."""
        node = self.run.spec.node(node_id)
        builder = self._builder(node)
        return Report() if builder is None else builder.report(self, node, reads)

    @contextmanager
    def reading(self, node_id: str, reads: Reads) -> Iterator[None]:
        """Around an action on a node's frame: raises SourceMissing where a pinned file changed meanwhile (D1).

        Spark lists and opens the files anew at each action, so that looking before it does not suffice. What it says of
        a file that it cannot read becomes a SourceUnreadable with that file's name.
        """
        from pyspark.errors import PySparkException

        try:
            yield
        except (PySparkException, DrlsError) as error:
            self._refuse_changed(node_id, reads)
            for source in self._sources(node_id):
                pin, folder = reads[source.id].pin, self._folder(source.id, reads)
                told = kind_of(source).explain(error, source.id, source.source, pin, folder)
                if told is not None:
                    raise told from None
            raise
        self._refuse_changed(node_id, reads)

    def watch(self, node_id: str, reads: Reads, *, sorts: bool = False) -> Watch:
        """Asks an action on the node's frame, which has been made, how many rows it reads of each source.

        `sorts`: the action sorts the rows.
        """
        from drls_dagster.engine.counting import Watch

        tallies = [self._tallies[self.key(source.id, reads)] for source in self._sources(node_id)]
        return Watch([tally.count for tally in tallies if tally.count is not None], sorts=sorts)

    def rows_read(self, node_id: str, reads: Reads, watch: Watch) -> Mapping[str, RowsRead]:
        """The rows that were read for the node, by source: by the action just made, or by steps that keep output."""
        found = dict(self.heard(node_id, reads, watch))
        for name in (*self.run.spec.ancestors(node_id), node_id):
            builder = self._builder(self.run.spec.node(name))
            if builder is not None and builder.keeps_output:
                kept = self.run.memory.rows_read(name, self.key(name, reads))
                found |= {source: RowsRead(*said) for source, *said in kept}
        return found

    def heard(self, node_id: str, reads: Reads, watch: Watch) -> Mapping[str, RowsRead]:
        """The rows that the action just made read, by source."""
        heard, found = watch.heard(), dict[str, RowsRead]()
        doubts = dict(self._doubts(node_id, reads, SORTED if watch.sorts else "")) if watch.counts_any else {}
        for source in self._sources(node_id):
            tally = self._tallies[self.key(source.id, reads)]
            if tally.count is not None and source.id in doubts:
                tally.read = RowsRead(why=doubts[source.id])
            elif tally.count is not None:
                tally.read = RowsRead(heard[tally.count]) if tally.count in heard else RowsRead(why=UNSAID)
            found[source.id] = tally.read
        return found

    def _refuse_changed(self, node_id: str, reads: Reads) -> None:
        for source in self._sources(node_id):
            kind_of(source).refuse_changed(source.id, reads[source.id].pin)

    def _sources(self, node_id: str) -> Iterator[SourceNode]:
        """The sources that an action on the node's frame reads."""
        node = self.run.spec.node(node_id)
        if isinstance(node, SourceNode):
            yield node
        builder = self._builder(node)
        if builder is None or not builder.keeps_output:
            for name in self.run.spec.upstream(node_id):
                yield from self._sources(name)

    def _doubts(self, node_id: str, reads: Reads, why: str) -> Iterator[tuple[str, str]]:
        """The sources above a node of which the count would be wrong, and why; `why` of all of them."""
        from drls_dagster.engine.counting import sorts, stops_early

        node = self.run.spec.node(node_id)
        if isinstance(node, SourceNode):
            if why:
                yield node.id, why
            return
        builder = self._builder(node)
        if builder is not None and builder.keeps_output:
            return
        if builder is not None and not why:
            frame = self.frame(node_id, reads)
            why = LIMITED if stops_early(frame) else SORTED if sorts(frame) else ""
        for name in self.run.spec.upstream(node_id):
            yield from self._doubts(name, reads, why)

    def _folder(self, source: str, reads: Reads) -> str:
        """Where links to a source's files and copies of them lie."""
        return staging_folder(self.run.settings, self.run.run_key, self.key(source, reads))

    def _build(self, node_id: str, reads: Reads) -> DataFrame:
        node = self.run.spec.node(node_id)
        if isinstance(node, SourceNode):
            read = reads[node_id]
            tally = self._tallies[self.key(node_id, reads)] = Tally()
            kept = _Kept(self.run, node_id, self.key(node_id, reads))
            folder = self._folder(node_id, reads)
            run, window = self.run, self.run.window
            values = {**run.parameters, **(window.arguments() if window else {})}
            files = partial(code_of, run, node_id)
            reader = Reader(run.session.spark, run.place, folder, run.log, tally, files, kept, values)
            return kind_of(node).read(reader, node_id, node.source, read.pin, Read(read.start, read.end))
        builder = self._builder(node)
        if builder is None:
            raise DrlsError(f"node '{node_id}': this release does not run it as a frame")
        return builder.build(self, node, reads)

    def _builder(self, node: AnyNode) -> Builder[Any] | None:
        return self._builders.get(node.step) if node.type == "transform" else None
