"""What Spark rewrites: its `rewrite_data_files`, on the engine, which is started where it does not run.

Spark commits to a branch of its own, and its files are then published like those that are written here: next to other
writers, and on governed refs under a permit. In format version 3, where only Spark can commit, it commits on the branch
itself, with its own checks; a governed one is refused.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import chain
from typing import TYPE_CHECKING, Any

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import adding, refs
from drls_dagster.lakehouse.catalog_config import warehouse_folder
from drls_dagster.lakehouse.columns import spark_quoted
from drls_dagster.lakehouse.diff.version import Version
from drls_dagster.lakehouse.file_removal import Removal, Removed, own_folders
from drls_dagster.lakehouse.rewriting import Manifests, partition_of
from drls_dagster.maintenance.compact import tidying
from drls_dagster.maintenance.compact.keys import sort_fields
from drls_dagster.maintenance.compact.running import Done, Rewritten, Uncommitted, commit, in_rounds
from drls_dagster.maintenance.compact.selecting import DELETED_SHARE, Candidate, Group, Partition, Selection
from drls_dagster.maintenance.work import Work
from lifecycle.domain.data_diff import Side
from lifecycle.domain.environment import Environment
from lifecycle.domain.operations import CompactOptions, CompactResult, Progress
from lifecycle.errors import one_line

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

NOTE = "compact.spark"
FILES = "compact.spark-files"
_PATHS = 500
_LOOK_SECONDS = 0.4
_BRANCH = "drls-maintain-spark-"
_ANYWHERE: Partition = (0, ())


def rewrite(work: Work, options: CompactOptions, first: Selection, manifests: Manifests) -> CompactResult:
    """Raises DrlsError where Spark fails, or may not commit. Cancelling stops Spark, which removes what it wrote."""
    direct = work.table.format_version > 2
    if direct and work.governed:
        raise DrlsError(
            f"{work.name} cannot be compacted: {first.spark}, and Spark cannot publish {work.ref} under a permit"
        )
    if direct and first.groups and first.base is not None:
        return _rewrite_in_place(work, options, first)

    def attempt(chosen: Selection, done: Done) -> bool:
        if not chosen.groups or chosen.base is None:
            return False
        return _rewrite_aside(work, options, chosen, chosen.base, manifests, done)

    return in_rounds(work, options, first, manifests, attempt)


def _rewrite_in_place(work: Work, options: CompactOptions, chosen: Selection) -> CompactResult:
    from drls_dagster.engine.session import session

    progress = _progress(chosen)
    with session(work.settings, lambda _: work.report(progress)) as opened:
        note = work.journal.note(NOTE, session=opened.session_id, engine=opened.engine_id)
        try:
            told = _call(work, opened.spark, *_statement(work, work.ref, options, chosen), progress)
        finally:
            # Spark has answered: whatever it was, nothing of it runs any more.
            work.journal.settle([note])
    work.table = work.catalog.load_table(work.table.name())
    return _result(work.table, work.ref, chosen.base, told)


def _rewrite_aside(
    work: Work, options: CompactOptions, chosen: Selection, base: int, manifests: Manifests, done: Done
) -> bool:
    """True where others touched some of the files meanwhile, which are left."""
    from drls_dagster.engine.session import session

    progress = _progress(chosen)
    uncommitted = Uncommitted(tidying.Noted(work))
    with session(work.settings, lambda _: work.report(progress)) as opened:
        branch = f"{_BRANCH}{opened.session_id}"
        session_id, engine_id = opened.session_id, opened.engine_id
        note = work.journal.note(NOTE, session=session_id, engine=engine_id, branch=branch, base=str(base))
        try:
            refs.create_branch(work.catalog, work.table, branch, base)
            _call(work, opened.spark, *_statement(work, branch, options, chosen), progress)
            written = _written(work, branch, chosen, manifests)
            return commit(work, options, chosen, written, uncommitted, manifests, done) if written else False
        finally:
            # Spark has answered: whatever it was, nothing of it runs any more.
            # Where a commit may have happened, the next operation looks which files are in use.
            if not uncommitted.uncertain:
                _drop(work, branch, base)
                work.journal.settle([note])


def _progress(chosen: Selection) -> Progress:
    return Progress(done=0, total=sum(group.size for group in chosen.groups), what="bytes")


def _written(work: Work, branch: str, chosen: Selection, manifests: Manifests) -> list[Rewritten]:
    """What Spark rewrote on its branch: by partition, so that others who touch one of them leave the rest.

    Raises DrlsError where it has not as many rows as before.
    """
    table = work.catalog.load_table(work.table.name())
    head = table.snapshot_by_id(refs.head(table, branch) or 0)
    if head is None or head.snapshot_id == chosen.base:
        return []
    if work.governed and chosen.base is not None:
        _require_same_rows(work, table, chosen.base, head)
    now = {one.data_file.file_path: one.data_file for _, one in manifests.live(head) if one.data_file.content == 0}
    before = {one.data_file.file_path for one in chosen.data}
    old: dict[Partition, list[Candidate]] = defaultdict(list)
    new: dict[Partition, list[DataFile]] = defaultdict(list)
    for entry in chosen.data:
        if entry.data_file.file_path not in now:
            old[partition_of(entry.data_file)].append(Candidate(entry))
    for path, file in now.items():
        if path not in before:
            new[partition_of(file)].append(file)
    if not new.keys() <= old.keys() or len({spec for spec, _ in old}) > 1:
        # Rows moved to the current partition spec: it is not known which of them come from which file.
        old = {_ANYWHERE: list(chain(*old.values()))}
        new = {_ANYWHERE: list(chain(*new.values()))}
    found = [Rewritten(Group(at, tuple(files)), tuple(new.get(at, ())), 0) for at, files in old.items()]
    for one in found:
        rows = sum(each.file.record_count for each in one.group.files)
        kept = sum(each.record_count for each in one.files)
        if kept > rows or (kept < rows and not chosen.deletes):
            raise DrlsError(f"{work.name}: Spark made {kept:,} of {rows:,} rows; nothing was changed")
    return found


def _require_same_rows(work: Work, table: Table, before: int, after: Snapshot) -> None:
    """What goes to production under a permit holds the rows it had: others in the engine could write to that branch."""
    from drls_dagster.lakehouse.diff import differing

    sides = [
        _AsNow(Side(environment=Environment.PRODUCTION, snapshot=one.snapshot_id), table, one)
        for one in (table.snapshot_by_id(before), after)
        if one is not None
    ]
    try:
        other = differing(*sides, memory=work.settings.data_diff.memory)
    except (ValueError, NotImplementedError) as error:
        raise DrlsError(
            f"{work.name} cannot be compacted by Spark: {work.ref} is published under a permit, and what Spark made "
            f"cannot be compared with it: {one_line(error)}"
        ) from error
    if other:
        raise DrlsError(f"{work.name}: what Spark made holds other rows: {'; '.join(other)}; nothing was changed")


class _AsNow(Version):
    """With the columns that the table has now: what Spark writes has them."""

    @property
    def schema(self) -> Schema | None:
        return self.table.schema() if self.table is not None else None


def _drop(work: Work, branch: str, base: int) -> None:
    """Remove Spark's branch, which began at `base`, with its snapshots and those of their files that are not in use."""
    table = work.catalog.load_table(work.table.name())
    for snapshot in refs.ancestors(table, refs.head(table, branch)):
        if snapshot.snapshot_id == base:
            break
        paths = [snapshot.manifest_list]
        for manifest in snapshot.manifests(table.io):
            if manifest.added_snapshot_id == snapshot.snapshot_id:
                paths.append(manifest.manifest_path)
                entries = manifest.fetch_manifest_entry(table.io)
                paths += [one.data_file.file_path for one in entries if one.snapshot_id == snapshot.snapshot_id]
        for at in range(0, len(paths), _PATHS):
            work.journal.note(FILES, paths=paths[at : at + _PATHS])
        adding.drop_unused(work.catalog, table, branch, snapshot.snapshot_id)
    refs.drop_branch(work.catalog, table, branch)
    work.table = work.catalog.load_table(work.table.name())
    notes = work.journal.notes(FILES)
    named = [str(path) for note in notes for path in note.facts["paths"]]
    if named:
        is_used = tidying.reached(work, named)
        unused = [(path, None) for path, there in zip(named, is_used, strict=True) if not there]
        # Whoever can write to the branch chose these names: only what lies in the table's own folders is removed.
        with Removal(work.table.io, own_folders(work.table, warehouse_folder(work.settings))) as removal:
            removal.remove(unused, Removed())
    work.journal.settle(notes)


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
        if "branch" in note.facts:
            _drop(work, note.facts["branch"], int(note.facts["base"]))
        work.journal.settle([note])


def _statement(work: Work, branch: str, options: CompactOptions, chosen: Selection) -> tuple[str, dict[str, str]]:
    """Names and sizes are parameters, never part of the text."""
    given = {
        "target-file-size-bytes": str(chosen.target),
        "min-input-files": str(max(2, options.min_files)),
        "delete-ratio-threshold": str(DELETED_SHARE),
        "rewrite-all": str(options.all or options.strategy != "binpack").lower(),
    }
    parts = [work.catalog.name, *work.table.name()]
    args = {"table": ".".join(map(spark_quoted, parts)), "branch": branch}
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
            # What came to Spark after that is still to be stopped.
            while not wait([pending], timeout=_LOOK_SECONDS).done:
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
