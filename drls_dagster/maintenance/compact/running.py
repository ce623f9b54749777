"""A compaction while it runs: new files are written, then replace the old ones in one commit for a part of the work."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs, rewriting
from drls_dagster.lakehouse.commit_retry import ATTEMPTS, CommitConflictError
from drls_dagster.lakehouse.delete_files import applies, removable_deletes
from drls_dagster.lakehouse.rewriting import Change, Manifests, StaleFiles
from drls_dagster.maintenance.compact import tidying
from drls_dagster.maintenance.compact.equality import LiveRows
from drls_dagster.maintenance.compact.files import ROW_GROUP_BYTES, Layout, NewFile, new_path
from drls_dagster.maintenance.compact.keys import SortField, sort_fields
from drls_dagster.maintenance.compact.selecting import (
    CLUSTERED,
    LARGE,
    Group,
    Selection,
    clustering,
    select,
)
from drls_dagster.maintenance.compact.spreading import Order, Spread
from drls_dagster.maintenance.work import Work
from lifecycle.domain.operations import CompactOptions, CompactResult, Progress

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.manifest import DataFile, ManifestEntry
    from pyiceberg.table import Table

_Value = TypeVar("_Value")
_MEMORY_BYTES = 1 << 30
_WORKER_BYTES = 448 << 20
_COMMIT_BYTES = 16 << 30
_ROUNDS = 4
_ALMOST = 1.07


@dataclass
class Rewritten:
    """A group and the files that hold its rows now."""

    group: Group
    files: tuple[DataFile, ...]
    rows_in: int


@dataclass
class Done:
    """What has been committed so far."""

    old: int = 0
    new: int = 0
    old_bytes: int = 0
    new_bytes: int = 0
    deleted: int = 0
    snapshot: int | None = None
    paths: set[str] = field(default_factory=set[str])

    def add(self, written: Sequence[Rewritten], snapshot: int) -> None:
        self.snapshot = snapshot
        for one in written:
            self.old += len(one.group.files)
            self.old_bytes += one.group.size
            self.new += len(one.files)
            self.new_bytes += sum(file.file_size_in_bytes for file in one.files)
            self.deleted += sum(each.file.record_count for each in one.group.files) - sum(
                file.record_count for file in one.files
            )
            self.paths |= {file.file_path for file in one.files}

    @property
    def result(self) -> CompactResult:
        return CompactResult(
            rewritten_files=self.old,
            new_files=self.new,
            rewritten_bytes=self.old_bytes,
            new_bytes=self.new_bytes,
            applied_deletes=self.deleted,
            snapshot=self.snapshot,
        )


@dataclass
class Uncommitted:
    """Notes of new files; `uncertain`: a commit of them may have happened."""

    notes: tidying.Noted
    uncertain: bool = False


def run(work: Work, options: CompactOptions, first: Selection, manifests: Manifests) -> CompactResult:
    """Rewrite the groups of `first`, a part at a time."""

    def attempt(chosen: Selection, done: Done) -> bool:
        left = False
        for part in _parts(chosen.groups):
            left = _run_part(work, options, chosen, part, manifests, done) or left
        return left

    return in_rounds(work, options, first, manifests, attempt)


def in_rounds(
    work: Work,
    options: CompactOptions,
    first: Selection,
    manifests: Manifests,
    attempt: Callable[[Selection, Done], bool],
) -> CompactResult:
    """`attempt` rewrites what is chosen, and says whether others touched some of it meanwhile.

    That is chosen and rewritten again, with a bound: then this raises CommitConflictError.
    """
    done = Done()
    chosen = first
    for _ in range(_ROUNDS):
        if not attempt(chosen, done):
            return done.result
        work.table = work.catalog.load_table(work.table.name())
        chosen = select(work.table, work.ref, options, manifests, without=frozenset(done.paths))
        if not chosen.groups:
            return done.result
    raise CommitConflictError(
        f"{work.name}: others rewrote the same files {_ROUNDS} times meanwhile; {done.old} files were compacted. "
        "Compact the table again when they have finished."
    )


def _parts(groups: Sequence[Group]) -> Iterator[list[Group]]:
    part: list[Group] = []
    for group in groups:
        if part and sum(one.size for one in part) + group.size > _COMMIT_BYTES:
            yield part
            part = []
        part.append(group)
    if part:
        yield part


def _run_part(
    work: Work,
    options: CompactOptions,
    chosen: Selection,
    groups: Sequence[Group],
    manifests: Manifests,
    done: Done,
) -> bool:
    """Writes and commits these groups. True where some of them were touched by others and are left."""
    writing = Writing(work, options, chosen.target)
    try:
        written = writing.write(groups)
        return commit(work, options, chosen, written, writing, manifests, done)
    except BaseException:
        # What nobody committed goes at once. Where that is unknown or fails, its notes stay for the next operation.
        writing.abandon()
        raise


class Writing(Uncommitted):
    """New files of some groups; each is noted before it is begun."""

    def __init__(self, work: Work, options: CompactOptions, target: int) -> None:
        super().__init__(tidying.Noted(work))
        self._work = work
        self._layout = Layout(work.table)
        self._live = LiveRows(self._layout)
        self._target = target
        self._options = options
        self._token = uuid.uuid4()
        self._count = 0
        self._fields = _order_fields(work.table, options)
        self._order_id = _order_id(work.table, options)
        self._bytes = 0
        self._total = 0
        self._most = ROW_GROUP_BYTES

    def write(self, groups: Sequence[Group]) -> list[Rewritten]:
        self._total = sum(one.size for one in groups)
        cores = max(1, min(os.cpu_count() or 1, _MEMORY_BYTES // _WORKER_BYTES))
        packs = self._options.strategy == "binpack"
        workers = at_a_time([one.size for one in groups], cores) if packs else cores
        self._most = ROW_GROUP_BYTES * cores // workers
        with ThreadPoolExecutor(workers, "compact") as threads:
            try:
                if packs:
                    pending = [threads.submit(self._pack, group) for group in groups]
                    return [one.result() for one in _watched(pending, self._tick)]
                return [self._spread(group, threads) for group in groups]
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise

    def _tick(self, size: int = 0) -> None:
        self._bytes += size
        self._work.report(Progress(done=self._bytes, total=self._total, what="bytes", bytes=self._bytes))

    def _new(self, group: Group) -> NewFile:
        like = group.files[0].file
        self._count += 1
        path = new_path(self._work.table, like, f"{self._count:05d}-{self._token}-{uuid.uuid4().hex[:8]}.parquet")
        self.notes.file(path)
        return NewFile(self._layout, path, like, self._order_id, self._target, self._most)

    def _pack(self, group: Group) -> Rewritten:
        """The rows of a group in the order they are in, in one file, or several where it is large."""
        files: list[DataFile] = []
        rows_in = 0
        out = self._new(group)
        for rows, size in self._live.read(group.files):
            self._bytes += size
            if not rows.num_rows:
                continue
            rows_in += rows.num_rows
            out = self._written(group, out, rows, files)
        files += _closed(out)
        return _checked(self._work, Rewritten(group, tuple(files), rows_in))

    def _written(self, group: Group, out: NewFile, rows: pa.Table, files: list[DataFile]) -> NewFile:
        """Writes rows to a file, and once it is full to the next one, which then is the open one."""
        # What was packed to fit stays whole although it compresses a little worse.
        limit = self._target * (1 if group.size > LARGE * self._target else LARGE)
        for piece in out.pieces(rows):
            out.write(piece)
            if out.size >= limit:
                files += _closed(out)
                out = self._new(group)
        return out

    def _spread(self, group: Group, threads: Executor) -> Rewritten:
        order = Order(self._layout, self._fields, self._options.strategy == "zorder")
        folder = self._work.settings.home / "maintenance" / f"spill-{self._token}-{self._count}"
        self.notes.folder(folder)
        spread = Spread(self._layout, self._live, group, order, self._target, folder)
        try:
            spread.deal(threads, self._tick)
            pending = [threads.submit(self._sorted_file, group, spread, at) for at in range(spread.files)]
            files = [file for one in _watched(pending, self._tick) for file in one.result()]
        finally:
            spread.drop()
        return _checked(self._work, Rewritten(group, tuple(files), spread.rows_in))

    def _sorted_file(self, group: Group, spread: Spread, number: int) -> list[DataFile]:
        files: list[DataFile] = []
        out = self._new(group)
        for rows in spread.sorted(number):
            out = self._written(group, out, rows, files)
        return files + _closed(out)

    def abandon(self) -> None:
        """Remove the new files, unless a commit of them may have happened."""
        if not self.uncertain:
            self.notes.remove_all()


def at_a_time(sizes: Sequence[int], cores: int) -> int:
    """How many groups to work on at a time: the fewest that leave no core idle for long while the last are written."""
    taken = {one: _time(sizes, one, cores) for one in range(cores, 2 * cores + 1)}
    best = min(taken.values())
    return next(one for one, time_taken in taken.items() if time_taken <= _ALMOST * best)


def _time(sizes: Sequence[int], workers: int, cores: int) -> float:
    """How long groups of these sizes take where `workers` of them share the cores."""
    waiting, running, taken = list(reversed(sizes)), list[float](), 0.0
    while waiting or running:
        while waiting and len(running) < workers:
            running.append(waiting.pop())
        step = min(running)
        taken += step * max(1.0, len(running) / cores)
        running = [one - step for one in running if one > step]
    return taken


def _watched(pending: Sequence[Future[_Value]], tick: Callable[[], None]) -> Sequence[Future[_Value]]:
    """The futures, finished; `tick` is called all the time, since it may say that somebody cancelled."""
    left = set(pending)
    try:
        while left:
            finished, left = wait(left, timeout=0.5, return_when=FIRST_EXCEPTION)
            for one in finished:
                one.result()
            tick()
    except BaseException:
        for one in left:
            one.cancel()
        wait(left)
        raise
    return pending


def _closed(out: NewFile) -> list[DataFile]:
    made = out.close()
    return [] if made is None else [made]


def _checked(work: Work, one: Rewritten) -> Rewritten:
    """The same, after the rows were counted: what was read is what was written, and at most deletes are missing."""
    written = sum(file.record_count for file in one.files)
    before = sum(each.file.record_count for each in one.group.files)
    deletable = any(each.applied for each in one.group.files)
    if written != one.rows_in or written > before or (written < before and not deletable):
        raise DrlsError(
            f"{work.name}: {before} rows became {written} while they were rewritten; nothing was changed. One of "
            f"{len(one.group.files)} files is not what its manifest says, such as {one.group.files[0].file.file_path}"
        )
    return one


def _order_fields(table: Table, options: CompactOptions) -> tuple[SortField, ...]:
    if options.strategy == "binpack":
        return ()
    return sort_fields(table, options)


def _order_id(table: Table, options: CompactOptions) -> int | None:
    """The id of the table's sort order, where its files are then sorted by it."""
    return table.sort_order().order_id if options.strategy == "sort" and not options.columns else None


def commit(
    work: Work,
    options: CompactOptions,
    chosen: Selection,
    written: Sequence[Rewritten],
    writing: Uncommitted,
    manifests: Manifests,
    done: Done,
) -> bool:
    """True where others touched some of the files meanwhile, which are left. Raises CommitConflictError."""
    known = {one.data_file.file_path for one in chosen.deletes}
    clustered = clustering(work.table, options)
    left = list(written)
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0.02, 0.05 * 2**attempt))  # noqa: S311
        table = work.catalog.load_table(work.table.name())
        head = refs.head(table, work.ref)
        snapshot = table.snapshot_by_id(head) if head is not None else None
        if snapshot is None or table.metadata.table_uuid != work.table.metadata.table_uuid:
            raise DrlsError(f"{work.name}: {work.ref} is gone; nothing was changed")
        entries = [entry for _, entry in manifests.live(snapshot)]
        live = {one.data_file.file_path for one in entries}
        since = [one for one in entries if one.data_file.content == 1 and one.data_file.file_path not in known]
        fits = [one for one in left if _still_fits(one.group, live, since)]
        for one in left:
            if one not in fits:
                writing.notes.remove(file.file_path for file in one.files)
        stale, left = len(fits) < len(written), fits
        if not left:
            work.table = table
            return stale
        removed = frozenset(path for one in left for path in one.group.paths)
        change = Change(
            add=tuple(file for one in left for file in one.files),
            remove=removed,
            remove_deletes=removable_deletes(
                table,
                [one for one in entries if one.data_file.content != 0],
                [one for one in entries if one.data_file.content == 0],
                removed,
                [(chosen.sequence, file) for one in left for file in one.files],
            ),
            sequence=chosen.sequence,
            summary={"drls.maintenance": "compact", **({CLUSTERED: clustered} if clustered else {})},
        )
        made = rewriting.replace(table, snapshot.snapshot_id, change, note=writing.notes.file, manifests=manifests)
        writing.uncertain = True
        try:
            work.table = work.publish(table, work.ref, head, made.update, made.snapshot.snapshot_id)
        except (refs.RefMoved, StaleFiles):
            writing.uncertain = False
            writing.notes.remove(made.files)
            continue
        done.add(left, made.snapshot.snapshot_id)
        writing.notes.settle()
        writing.uncertain = False
        return stale
    raise CommitConflictError(
        f"{work.name}: other writers committed first {ATTEMPTS} times, so nothing was changed. Try again when they "
        "have finished."
    )


def _still_fits(group: Group, live: set[str], since: Sequence[ManifestEntry]) -> bool:
    """Whether all its files are still there, and no rows of them were deleted since they were read."""
    return group.paths <= live and not any(applies(delete, one.entry) for delete in since for one in group.files)
