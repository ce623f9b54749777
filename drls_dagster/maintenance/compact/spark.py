"""What only Spark can rewrite: its `rewrite_data_files`, on the engine, which is started where it does not run.

Spark commits on the branch itself, with its own checks against concurrent writers. A branch that is published under a
permit is refused.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.columns import spark_quoted
from drls_dagster.maintenance.compact.keys import sort_fields
from drls_dagster.maintenance.compact.selecting import DELETED_SHARE, Selection
from drls_dagster.maintenance.work import Work
from lifecycle.domain.operations import CompactOptions, CompactResult, Progress

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

NOTE = "compact.spark"
_LOOK_SECONDS = 0.4


def rewrite(work: Work, options: CompactOptions, chosen: Selection) -> CompactResult:
    """Raises DrlsError where Spark fails, or may not commit. Cancelling stops Spark, which removes what it wrote."""
    if work.governed:
        raise DrlsError(
            f"{work.name} cannot be compacted: {chosen.spark}, and Spark cannot publish {work.ref} under a permit"
        )
    if not chosen.groups:
        return CompactResult(
            rewritten_files=0, new_files=0, rewritten_bytes=0, new_bytes=0, applied_deletes=0, snapshot=None
        )
    from drls_dagster.engine.session import session

    progress = Progress(done=0, total=sum(group.size for group in chosen.groups), what="bytes")
    with session(work.settings, lambda _: work.report(progress)) as opened:
        note = work.journal.note(NOTE, session=opened.session_id, engine=opened.engine_id)
        try:
            told = _call(work, opened.spark, *_statement(work, options, chosen), progress)
        finally:
            # Spark has answered: whatever it was, nothing of it runs any more.
            work.journal.settle([note])
    work.table = work.catalog.load_table(work.table.name())
    return _result(work.table, work.ref, chosen.base, told)


def stop_earlier(work: Work) -> None:
    """Stop what killed compactions of this table still do in Spark. Raises DrlsError where that is not confirmed."""
    notes = work.journal.notes(NOTE)
    if not notes:
        return
    from drls_dagster.engine.session import interrupt, is_closed

    for note in notes:
        where = work.settings, note.facts["session"], note.facts["engine"]
        if not interrupt(*where) and not is_closed(*where):
            raise DrlsError(
                f"an earlier compaction of {work.name} may still run in Spark, which does not answer; try again, or "
                "run `drls engine stop --force`"
            )
        work.journal.settle([note])


def _statement(work: Work, options: CompactOptions, chosen: Selection) -> tuple[str, dict[str, str]]:
    """Names and sizes are parameters, never part of the text."""
    given = {
        "target-file-size-bytes": str(chosen.target),
        "min-input-files": str(max(2, options.min_files)),
        "delete-ratio-threshold": str(DELETED_SHARE),
        "rewrite-all": str(options.all or options.strategy != "binpack").lower(),
    }
    parts = [work.catalog.name, *work.table.name()]
    args = {"table": ".".join(map(spark_quoted, parts)), "branch": work.ref}
    args |= {name.replace("-", "_"): value for name, value in given.items()}
    pairs = ", ".join(f"'{name}', :{name.replace('-', '_')}" for name in given)
    order = ""
    if options.strategy != "binpack":
        args["sort_order"] = _order(work.table, options)
        order = "strategy => 'sort', sort_order => :sort_order, "
    text = (
        f"CALL {spark_quoted(work.catalog.name)}.system.rewrite_data_files("
        f"table => :table, branch => :branch, {order}options => map({pairs}))"
    )
    return text, args


def _order(table: Table, options: CompactOptions) -> str:
    if options.strategy == "zorder":
        return f"zorder({', '.join(map(spark_quoted, options.columns))})"
    return ", ".join(
        f"{spark_quoted(one.name)} {'DESC' if one.descending else 'ASC'} NULLS {'LAST' if one.nulls_last else 'FIRST'}"
        for one in sort_fields(table, options)
    )


def _call(work: Work, spark: Any, text: str, args: dict[str, str], progress: Progress) -> Any:
    from pyspark.errors import PySparkException

    from drls_dagster.engine.session import first_line

    with ThreadPoolExecutor(1, "compact-spark") as thread:
        pending: Future[Any] = thread.submit(lambda: spark.sql(text, args=args).collect()[0])
        try:
            work.report(progress)
            while not wait([pending], timeout=_LOOK_SECONDS).done:
                work.report(progress)
        except BaseException:
            spark.interruptAll()
            raise
        try:
            return pending.result()
        except PySparkException as error:
            raise DrlsError(f"Spark could not compact {work.name}: {first_line(error)}") from error


def _result(table: Table, ref: str, base: int | None, told: Any) -> CompactResult:
    made = _made(table, ref, base, told["added_data_files_count"]) if told["rewritten_data_files_count"] else None
    said = {} if made is None else refs.summary(made)
    return CompactResult(
        rewritten_files=told["rewritten_data_files_count"],
        new_files=told["added_data_files_count"],
        rewritten_bytes=told["rewritten_bytes_count"],
        new_bytes=int(said.get("added-files-size", "0")),
        applied_deletes=int(said.get("deleted-records", "0")) - int(said.get("added-records", "0")),
        snapshot=None if made is None else made.snapshot_id,
    )


def _made(table: Table, ref: str, base: int | None, files: int) -> Snapshot | None:
    """The snapshot that Spark committed; others may have committed before and after it."""
    for one in refs.ancestors(table, refs.head(table, ref)):
        if one.snapshot_id == base:
            break
        said = refs.summary(one)
        operation = one.summary.operation.value if one.summary else ""
        if operation == "replace" and int(said.get("added-data-files", "0")) == files:
            return one
    return None
