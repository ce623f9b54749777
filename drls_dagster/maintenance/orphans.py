"""Orphans: files in a table's folders that nothing needs, left by writes that failed or by others' expiry.

They are listed; deleting them is asked for. A file stays while it is younger than the guard (a write that is under way
may be about to commit it), while the table's metadata or a metadata version that was current within the guard needs
it, and where it belongs to another table. What the table needs is looked up after the files were listed, and again
before they are deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog_config import warehouse_folder, warehouse_of
from drls_dagster.lakehouse.file_removal import Removal, Removed, own_folders
from drls_dagster.lakehouse.listing import Listed, files_below, metadata_json, of_others, unknown
from drls_dagster.lakehouse.reachable import Paths, each, needed, needed_by, normal
from drls_dagster.lakehouse.reread import Reread, load_again
from drls_dagster.lakehouse.storage_words import in_words
from drls_dagster.lakehouse.tables import table_identifiers
from drls_dagster.maintenance.work import Keep, Work
from lifecycle.domain.operations import (
    OperationKind,
    OperationPlan,
    OrphanOptions,
    OrphanResult,
    Progress,
    plan_digest,
)

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

NOTE = "orphans"
LEAST = timedelta(hours=24)
SHOWN = 1_000
_PORTION = 1_000


def plan(table: Table, ref: str, options: OrphanOptions, keep: Keep) -> OperationPlan:
    """How many orphans there are. Lists the table's folders."""
    files = size = 0
    for portion in _orphans(table, table.catalog, options, lambda: table, lambda _: None):
        files += len(portion)
        size += sum(one.size for one in portion)
    figures = {"files": files, "bytes": size}
    age = _words(options.older_than)
    return OperationPlan(
        kind=OperationKind.ORPHANS,
        table=".".join(table.name()),
        ref=ref,
        base=refs.head(table, ref),
        needed=files > 0,
        reasons=(
            f"{files} files are older than {age} and nothing needs them"
            if files
            else f"nothing lies in the table's folders that is older than {age} and not needed",
        ),
        figures=figures,
        cost=f"{files} files are {'listed' if options.dry_run else 'deleted'}; no data is read",
        digest=plan_digest(
            OperationKind.ORPHANS, str(table.metadata.table_uuid), ref, refs.head(table, ref), options, figures
        ),
    )


def execute(work: Work, options: OrphanOptions) -> OrphanResult:
    """Lists, and deletes unless it is a dry run. Raises UsageError for a guard of less than 24 hours then."""
    if not options.dry_run and options.older_than < LEAST:
        raise UsageError(
            f"deleting files younger than {_words(LEAST)} could break a write that is under way; raise --older-than to "
            "24h, or only list"
        )
    # What a killed one was deleting is found again by listing.
    earlier = work.journal.notes(NOTE)
    count = size = 0
    shown: list[str] = []
    told = Removed()

    def now() -> Table:
        work.table = load_again(work.catalog, work.table, Reread.WRITTEN)
        return work.table

    def listed(files: int) -> None:
        work.report(Progress(done=files, total=0, what="files", bytes=told.bytes))

    with Removal(work.table.io, own_folders(work.table, warehouse_folder(work.settings))) as removal:
        for portion in _orphans(work.table, work.catalog, options, now, listed):
            count += len(portion)
            size += sum(one.size for one in portion)
            shown += [one.path for one in portion]
            shown = sorted(shown)[:SHOWN]
            if not options.dry_run:
                note = work.journal.note(NOTE, files=[one.path for one in portion])
                removal.remove([(one.path, one.size) for one in portion], told)
                work.journal.settle([note])
    work.journal.settle(earlier)
    if told.failed:
        raise DrlsError(
            f"{len(told.failed)} orphans of {work.name} cannot be deleted, such as {told.failed[0]}; remove the cause, "
            "then try again"
        )
    return OrphanResult(
        orphan_count=count,
        removed_bytes=told.bytes,
        removed_count=told.files,
        files=tuple(shown),
        dry_run=options.dry_run,
    )


def _orphans(
    table: Table,
    catalog: Catalog,
    options: OrphanOptions,
    now: Callable[[], Table],
    told: Callable[[int], None],
) -> Iterator[list[Listed]]:
    """The orphans in portions, by folder. What is needed is looked up by `now` after a portion was listed."""
    before = time.time() - options.older_than.total_seconds()
    folders = own_folders(table, None)
    if folders[0] not in own_folders(table, warehouse_of(catalog)):
        raise DrlsError(
            f"{'.'.join(table.name())} has its files in {folders[0]}, which is not below the warehouse: nobody knows "
            "what else lies there, so nothing of it is an orphan"
        )
    others = _other_folders(catalog, table, folders)
    known = Paths()
    known.add(path for portion in _in_use(table, before) for path in portion)
    files = 0
    for folder in folders:
        if any(one != folder and f"{folder}/".startswith(f"{one}/") for one in folders):
            continue  # listed with the folder that it is in
        for portion in _portions(files_below(table.io, folder, lambda path: normal(path) not in others)):
            files += len(portion)
            told(files)
            old = [one for one in portion if one.modified < before and not of_others(one.path)]
            left = unknown(old, known)
            if left:
                # Committed since: a file that was added to the table may be older than its commit.
                present = now()
                if present.metadata_location != table.metadata_location:
                    table = present
                    known.add(path for part in _in_use(table, before) for path in part)
                    left = unknown(left, known)
            if left:
                yield left


def _in_use(table: Table, before: float) -> Iterator[list[str]]:
    """What the table needs, its metadata files, and what versions needed that were current since `before`."""
    metadata = table.metadata
    yield from needed(table.io, metadata)
    log = metadata.metadata_log
    yield [table.metadata_location, *(one.metadata_file for one in log)]
    # A version was current until the next one was written; a reader may still go by it.
    ends = [*(one.timestamp_ms for one in log[1:]), metadata.last_updated_ms]
    recent = [one.metadata_file for one, end in zip(log, ends, strict=True) if end / 1000 >= before]
    seen = {one.snapshot_id for one in metadata.snapshots}
    for lists, statistics in each(recent, lambda path: _version(table, path)):
        yield statistics
        new = {number: path for number, path in lists.items() if number not in seen}
        seen.update(new)
        if new:
            yield from needed_by(table.io, list(new.values()), gone=True)


def _version(table: Table, path: str) -> tuple[dict[int, str], list[str]]:
    """The manifest lists of an older metadata version, by snapshot, and its statistics files."""
    try:
        found = metadata_json(table.io, path)
    except FileNotFoundError:
        return {}, []
    lists = {one["snapshot-id"]: one["manifest-list"] for one in found.get("snapshots") or () if "manifest-list" in one}
    statistics = [*(found.get("statistics") or ()), *(found.get("partition-statistics") or ())]
    return lists, [one["statistics-path"] for one in statistics]


def _other_folders(catalog: Catalog, table: Table, folders: Sequence[str]) -> frozenset[str]:
    """The folders of other tables of the catalog that lie below these."""
    from pyiceberg.exceptions import NoSuchTableError

    found: set[str] = set()
    for identifier in table_identifiers(catalog):
        if tuple(identifier) == tuple(table.name()):
            continue
        try:
            other = catalog.load_table(identifier)
        except NoSuchTableError:
            continue  # dropped since
        except OSError as error:
            raise DrlsError(
                f"{'.'.join(identifier)} cannot be read, so it is unknown whether its files are among those of "
                f"{'.'.join(table.name())}: {in_words(error)}"
            ) from None
        for one in own_folders(other, None):
            if any(f"{one}/".startswith(f"{folder}/") for folder in folders):
                if one in folders:
                    raise DrlsError(
                        f"{'.'.join(identifier)} has its files in {one} as well, so nobody knows whose an orphan is"
                    )
                found.add(one)
    return frozenset(found)


def _portions(files: Iterator[Listed]) -> Iterator[list[Listed]]:
    portion: list[Listed] = []
    for one in files:
        portion.append(one)
        if len(portion) >= _PORTION:
            yield portion
            portion = []
    if portion:
        yield portion


def _words(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours > 24 else f"{hours:g} hours"
