"""A sink's write: write to a run branch → audit what was written → publish by compare-and-set.

Nothing that readers see changes before the publish, and the publish is one catalog commit that moves one ref.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from drls_dagster.engine.session import interrupt
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.columns import UnsupportedColumn, iceberg_schema
from drls_dagster.lakehouse.earlier_layout import values_over_earlier_files
from drls_dagster.lakehouse.evolution import compare
from drls_dagster.lakehouse.locating import TableLook, look_at
from drls_dagster.lakehouse.naming import TableLocation
from drls_dagster.lakehouse.positions import POSITIONS, SOURCES, At
from drls_dagster.lakehouse.prepare import OWNER, prepare_table, refuse_foreign, take_over
from drls_dagster.lakehouse.rebuild import put_back_unless_published
from drls_dagster.lakehouse.reread import Reread, load_again
from drls_dagster.lakehouse.separate import may_reshape
from drls_dagster.runs.step_spans import SpanKind
from drls_dagster.steps import changes
from drls_dagster.steps.above import checks_above
from drls_dagster.steps.bad_rows import tell_bad_rows
from drls_dagster.steps.checks import Finding, evaluate, evidence_of
from drls_dagster.steps.debris import has_ended
from drls_dagster.steps.frames import Frames
from drls_dagster.steps.publishing import publish
from drls_dagster.steps.run import FIRST, PipelineRun, Publication, Reads, SourceRead
from drls_dagster.steps.sources.pins import Origin
from drls_dagster.steps.sources.tally import RowsRead
from drls_dagster.steps.write import WritePlan, write
from lifecycle.spec import AnyCheck, SinkNode

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot
    from pyspark.sql import DataFrame

TRIES = 4  # the first, and at most three again (D3)
# Up to here one task reads what was written sooner than Spark starts the stages that would share the work.
SMALL_ROWS, SMALL_FILES = 250_000, 32
Hook = Callable[[str], None]


class NotPublished(DrlsError):
    """A blocking check failed; `results` says which. The branch stays for inspection."""

    def __init__(self, message: str, results: Sequence[Finding]) -> None:
        super().__init__(message)
        self.results = tuple(results)


@dataclass(frozen=True)
class Published:
    """What a sink did. `repeated` says that an earlier try of the same run had published it already (D7)."""

    table: Table
    location: TableLocation
    snapshot: Snapshot
    results: tuple[Finding, ...]
    reads: Reads
    repeated: bool = False
    rows_read: Mapping[str, RowsRead] = field(default_factory=dict)  # by source; not of an earlier try


def run_sink(
    run: PipelineRun,
    frames: Frames,
    sink: SinkNode,
    checks: Sequence[tuple[str, AnyCheck]],
    at: Hook = lambda _: None,
) -> Published:
    """Write, audit and publish one sink.

    `at` is called with the name of each stage that is reached. Raises NotPublished on a failed blocking check, and
    DrlsError where the table's ref moved under every try.
    """
    (upstream,) = run.spec.upstream(sink.id)
    look = look_at(run.catalog, run.environment, sink.table)
    if clear_debris(run, look):
        look = look.again(run.catalog, Reread.DEBRIS)
    for number in range(TRIES):
        look = _owned(run, sink, look)
        epoch = FIRST if number == 0 else f"{sink.id}.{number}"
        reads = run.reads_of(upstream, sink, look, epoch)
        done = _published_before(run, sink, look)
        if look.table is not None and done is not None:
            if run.gate is not None:
                run.gate.confirm(_publication(run, sink, look.table, done.parent_snapshot_id, done, reads))
            return Published(look.table, look.location, done, (), reads, repeated=True)
        try:
            return _once(run, frames, sink, checks, look, reads, at)
        except refs.RefMoved as moved:
            run.log(f"sink '{sink.id}': {moved}; running it again from the new head")
            look = look_at(run.catalog, run.environment, sink.table)
    raise DrlsError(
        f"sink '{sink.id}' was not published: '{look.location.ref}' of {look.location.name} moved during each of "
        f"{TRIES} attempts; find out what else writes this table"
    )


def _once(
    run: PipelineRun,
    frames: Frames,
    sink: SinkNode,
    checks: Sequence[tuple[str, AnyCheck]],
    look: TableLook,
    reads: Reads,
    at: Hook,
) -> Published:
    spark, location = run.session.spark, look.location
    (upstream,) = run.spec.upstream(sink.id)
    above = checks_above(frames, sink, reads)
    frame = frames.frame(upstream, reads)
    with_changes = changes.takes_changes(run.spec, sink)
    schema = _schema_of(sink, frame, with_changes)
    free = may_reshape(run.environment, location)
    look = _unmoved(run, look)
    if not free and run.gate is not None and look.table is not None:
        # Before the table gets them: the columns that this environment adds to it (D10).
        run.gate.tries(sink.table, compare(look.table.schema(), schema).added, schema.column_names)
    prepared = prepare_table(run.catalog, look, sink, schema, run.spec.name, free=free)
    table = prepared.table
    with put_back_unless_published(run.catalog, table, rebuilt=prepared.rebuilt):
        if prepared.rebuilt and run.window and not run.window.whole:
            raise DrlsError(f"sink '{sink.id}' must be rebuilt completely: run all its partitions in one run")
        if prepared.rebuilt:
            reads = {name: replace(read, start=None) for name, read in reads.items()}
            above = checks_above(frames, sink, reads)
            frame = frames.frame(upstream, reads)
        began = time.monotonic()
        with _run_branch(run, table, look) as branch:
            at("branched")
            watch = frames.watch(upstream, reads, sorts=_is_sorted(table))
            plan = WritePlan(
                catalog=run.settings.catalog.name,
                target=".".join(f"`{part}`" for part in (run.settings.catalog.name, *location.identifier)),
                branch=branch,
                sink=sink,
                columns=table.schema().fields,
                frame_columns={field.name.lower(): field for field in schema.fields},
                window=run.window,
                whole=prepared.rebuilt,
                changes=with_changes,
                summary=_summary(run, sink, reads),
                target_bytes=_bytes(table, look.read),
                over_earlier=values_over_earlier_files(table, look.read) if sink.mode == "overwrite_partitions" else (),
                watch=watch,
            )
            _tell_repeated_hours(run, frame)
            with frames.reading(upstream, reads):
                write(spark, frame, plan)
            rows_read = frames.rows_read(upstream, reads, watch)
            at("written")
            written = load_again(run.catalog, table, Reread.WRITTEN)
            candidate = refs.head(written, branch)
            if candidate is None:
                raise refs.RefMoved(f"branch '{branch}' of {location.name} is gone")
            made = written.snapshot_by_id(candidate)
            assert made is not None, "the head of a branch is a snapshot of the table"  # noqa: S101
            if run.gate is not None:
                run.gate.written(sink.table, look.own, candidate)
            results = _audit(run, sink, checks, plan.target, made)
            at("audited")
            failed = [result for result in results if result.blocking and not result.passed]
            if failed:
                run.memory.keep_branch(location.name, branch)
                raise NotPublished(
                    f"{location.name} was not published: "
                    + "; ".join(f"{result.name}: {result.message}" for result in failed)
                    + f" (the written data stays on branch {branch} for 7 days)",
                    results,
                )
            publication = replace(
                _publication(run, sink, written, look.own, made, reads),
                checks=(*above, *evidence_of(run.spec, sink.id, results)),
                seconds=time.monotonic() - began,
                rows_read=rows_read,
            )
            rebuilt_as = table.metadata.current_schema_id if prepared.rebuilt else None
            final = publish(run, location.identifier, publication, branch, rebuilt_as)
            at("published")
    return Published(final, location, made, tuple(results), reads, rows_read=rows_read)


def _schema_of(sink: SinkNode, frame: DataFrame, with_changes: bool) -> Schema:
    found = frame.schema.jsonValue()
    try:
        return iceberg_schema(changes.stored(found, sink) if with_changes else found)
    except UnsupportedColumn as error:
        raise UnsupportedColumn(f"sink '{sink.id}': {error}") from None


def _is_sorted(table: Table) -> bool:
    """Whether Spark may sort by ranges of values what it writes to a table."""
    modes = [value for name, value in table.properties.items() if name.endswith("distribution-mode")]
    return "range" in modes or bool(table.sort_order().fields)


def _tell_repeated_hours(run: PipelineRun, frame: DataFrame) -> None:
    if run.window is not None:
        kinds = {field.name.lower(): field.dataType.simpleString() for field in frame.schema.fields}
        sentence = run.window.repeated_hours(kinds.get(run.window.column.lower(), ""))
        if sentence is not None:
            run.log(sentence)


def _publication(
    run: PipelineRun, sink: SinkNode, table: Table, base: int | None, made: Snapshot, reads: Reads
) -> Publication:
    return Publication(
        sink=sink.id,
        table=sink.table,
        table_uuid=str(table.metadata.table_uuid),
        partition=run.window.id if run.window else "",
        base=base,
        candidate=made.snapshot_id,
        reads=reads,
        positions=_positions(reads),
        rows=refs.summary_int(made, "total-records"),
        bytes=refs.summary_int(made, "total-files-size"),
    )


@contextmanager
def _run_branch(run: PipelineRun, table: Table, look: TableLook) -> Iterator[str]:
    """A branch at what is read in `look`, removed at the end unless its run died (then the next one clears it)."""
    location, start = look.location, look.read
    branch = f"drls_run_{run.run_id[:8]}_{uuid.uuid4().hex[:8]}"
    session = run.session
    run.memory.open_branch(location.name, branch, session.session_id, session.engine_id)
    made = False
    try:
        if start is not None:
            refs.create_branch(run.catalog, table, branch, start)
        else:
            # PyIceberg cannot make a branch of a table without snapshots; Spark adds an empty one (D12).
            name = ".".join(f"`{part}`" for part in (run.settings.catalog.name, *location.identifier))
            session.spark.sql(f"ALTER TABLE {name} CREATE BRANCH `{branch}`").collect()
        made = True
        yield branch
    except NotPublished:
        raise
    except BaseException as error:
        # What Spark still writes would commit to, and so make again, the branch that is dropped here.
        ended = not session.is_alive or interrupt(run.settings, session.session_id, session.engine_id, release=False)
        refs.drop_branch(run.catalog, table, branch)
        # What was on its way when somebody interrupted, or when Spark did not answer, may still arrive: then the next
        # run looks once more (D13).
        if made and ended and isinstance(error, Exception):
            run.memory.close_branch(location.name, branch)
        raise


def clear_debris(run: PipelineRun, look: TableLook) -> bool:
    """Drop the branches of dead runs, and of failed checks after their time; the ledger's list says which (D13).

    Returns whether there were any.
    """
    location, found = look.location, False
    for left in run.memory.debris(location.name):
        found = True
        ended = has_ended(run.settings, left)
        if look.table is not None:
            refs.drop_branch(run.catalog, look.table, left.branch)
        run.log(f"dropped branch {left.branch} of {location.name}, left by run {left.run_key}")
        if ended:
            run.memory.close_branch(location.name, left.branch)
        else:
            where = "Spark" if left.here else f"Spark on {left.host}"
            run.log(f"{where} did not confirm that run {left.run_key} has ended; its branch stays on the list")
    return found


def _owned(run: PipelineRun, sink: SinkNode, look: TableLook) -> TableLook:
    """The table as this pipeline's own, taken over from one that has given it up. Raises ForeignTable (D11)."""
    table = look.table
    if table is None:
        return look
    owner = table.properties.get(OWNER)
    given_up = owner not in (None, run.spec.name) and run.gate is not None and run.gate.gave_up(owner, sink.table)
    if given_up:
        run.log(f"sink '{sink.id}' takes over {'.'.join(table.name())} from pipeline '{owner}'")
        return TableLook.of(look.location, take_over(run.catalog, table, run.spec.name))
    refuse_foreign(table, run.spec.name)
    return look


def _unmoved(run: PipelineRun, look: TableLook) -> TableLook:
    """A new look at the table, which is to be written as it is now and was read as `look` found it (D3).

    Raises RefMoved where these are not the same.
    """
    now = look.again(run.catalog, Reread.SCHEMA)
    if now.has_moved(look):
        raise refs.RefMoved(f"'{look.location.ref}' of {look.location.name} moved before it was written")
    return now


def _published_before(run: PipelineRun, sink: SinkNode, look: TableLook) -> Snapshot | None:
    """The snapshot that an earlier try of this run, step and window has published (D7)."""
    if look.table is None:
        return None
    key = (run.run_key, sink.id, run.window.id if run.window else "")
    for snapshot in refs.ancestors(look.table, look.own):
        told = refs.summary(snapshot)
        if (told.get("drls.root_run"), told.get("drls.step"), told.get("drls.partitions")) == key:
            return snapshot
    return None


def _audit(
    run: PipelineRun, sink: SinkNode, checks: Sequence[tuple[str, AnyCheck]], target: str, candidate: Snapshot
) -> list[Finding]:
    """The checks on the table as it would be published; in a partitioned run, on the rows of its window."""
    from drls_dagster.steps.spark import arguments_of

    if not checks:
        return []
    spark = run.session.spark
    written = spark.sql(f"SELECT * FROM {target} VERSION AS OF {candidate.snapshot_id}")
    if run.window is not None and sink.mode == "overwrite_partitions":
        kind = next(f.dataType for f in written.schema.fields if f.name.lower() == run.window.column.lower())
        written = written.where(run.window.condition(kind, sink.id))
    rows, files = (refs.summary_int(candidate, f"total-{what}") for what in ("records", "data-files"))
    if 0 < rows <= SMALL_ROWS and files <= SMALL_FILES:
        written = written.coalesce(1)
    view = f"drls_audit_{sink.id}_{candidate.snapshot_id}"
    written.createOrReplaceTempView(view)
    with run.spans.span(SpanKind.CHECK, sink.id) as facts:
        results = evaluate(spark, written, sink.id, checks, view, lambda sql: arguments_of(run, sink.id, sql))
        facts.checks, facts.failed_checks = len(results), sum(not one.passed for one in results)
    tell_bad_rows(run, sink.id, written, checks, results, view)
    return results


def _bytes(table: Table, snapshot_id: int | None) -> float:
    snapshot = table.snapshot_by_id(snapshot_id) if snapshot_id is not None else None
    return float(refs.summary(snapshot).get("total-files-size", "inf")) if snapshot is not None else 0


def _positions(reads: Reads) -> dict[str, At]:
    return {origin.id: read.end for origin, read in _followed(reads) if read.end is not None}


def _followed(reads: Reads) -> list[tuple[Origin, SourceRead]]:
    """The sources that a sink keeps a position in."""
    return [(origin, read) for read in reads.values() if (origin := read.pin.origin) is not None]


def _summary(run: PipelineRun, sink: SinkNode, reads: Reads) -> Mapping[str, str]:
    """What the snapshot says of itself: who wrote it, from what, and how far it has read its sources."""
    followed = _followed(reads)
    values: dict[str, Any] = {
        "drls.version": run.version,
        "drls.pipeline": run.spec.name,
        "drls.environment": str(run.environment),
        "drls.root_run": run.run_key,
        "drls.run": run.run_id,
        "drls.step": sink.id,
        "drls.partitions": run.window.id if run.window else "",
        "drls.inputs": json.dumps({origin.name: read.end for origin, read in followed}),
        POSITIONS: json.dumps(_positions(reads)),
        SOURCES: json.dumps({origin.name: origin.id for origin, _ in followed}),
    }
    return {key: str(value) for key, value in values.items()}
