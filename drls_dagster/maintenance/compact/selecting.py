"""Which files of a table a compaction rewrites together, from metadata alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.delete_files import EqualityDeletes, applies, is_newer, referenced_paths
from drls_dagster.lakehouse.file_sizes import DEFAULT_TARGET, given_target
from drls_dagster.lakehouse.naming import MAIN
from drls_dagster.lakehouse.rewriting import Manifests, partition_of
from lifecycle.domain.evolution import told
from lifecycle.domain.operations import CompactOptions
from lifecycle.domain.table_files import SMALL_SHARE

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile, ManifestEntry
    from pyiceberg.table import Table

CLUSTERED = "drls.clustered-by"
# A group is one piece of work: what sorting spreads over its files, and what one commit adds.
GROUP_BYTES = 64 << 30
LARGE = 1.8
DELETED_SHARE, _DELETE_FILES = 0.1, 10
# Their values are held in memory: for numbers about 1 GB.
_MOST_KEYS = 20_000_000

Partition = tuple[int, tuple[str, ...]]


@dataclass(frozen=True)
class Candidate:
    """A data file with the position deletes that may apply to it, and the equality deletes of its partition."""

    entry: ManifestEntry
    deletes: tuple[ManifestEntry, ...] = ()
    equality: tuple[ManifestEntry, ...] = ()

    @property
    def file(self) -> DataFile:
        return self.entry.data_file

    @property
    def size(self) -> int:
        return self.entry.data_file.file_size_in_bytes

    @property
    def applied(self) -> list[ManifestEntry]:
        """The delete files that may name rows of it."""
        return [*self.deletes, *(one for one in self.equality if is_newer(one, self.entry))]

    @property
    def is_named(self) -> bool:
        """Whether an equality delete may name rows of it."""
        return any(is_newer(one, self.entry) for one in self.equality)


@dataclass(frozen=True)
class Group:
    """Files of one partition that are rewritten together."""

    partition: Partition
    files: tuple[Candidate, ...]

    @property
    def size(self) -> int:
        return sum(one.size for one in self.files)

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(one.file.file_path for one in self.files)


@dataclass(frozen=True)
class Selection:
    """What a snapshot has, and what of it needs to be rewritten. `spark`: why Spark does it, or empty.

    Which rows deletes hide in files for Spark is not known: many deletes put every file into a group.
    """

    base: int | None
    sequence: int
    groups: tuple[Group, ...]
    data: tuple[ManifestEntry, ...]
    deletes: tuple[ManifestEntry, ...]
    target: int
    spark: str = ""


def target_bytes(table: Table, options: CompactOptions) -> int:
    """How large new files become. Raises UsageError where the table's own property is no size."""
    if options.target_bytes is not None:
        return options.target_bytes
    try:
        return given_target(table) or DEFAULT_TARGET
    except ValueError as error:
        raise UsageError(f"{'.'.join(table.name())}: {error}") from None


def clustering(table: Table, options: CompactOptions) -> str:
    """How rows are ordered, as a snapshot's summary says it: `sort(a, b desc)`, `zorder(a, b)`; empty: they are not."""
    from drls_dagster.maintenance.compact.keys import sort_fields

    if options.strategy == "binpack":
        return ""
    if options.strategy == "zorder":
        return f"zorder({', '.join(options.columns)})"
    return f"sort({', '.join(map(str, sort_fields(table, options)))})"


def select(
    table: Table,
    ref: str,
    options: CompactOptions,
    manifests: Manifests | None = None,
    *,
    without: frozenset[str] = frozenset(),
    spark_above: int | None = None,
) -> Selection:
    """The groups of `ref` that need it. `without`: paths that stay out of it.

    `spark_above`: what is more bytes than this is for Spark, unless a filter limits it, which Spark does not take.
    """
    from drls_dagster.maintenance.compact.keys import check_columns

    _check_branch(table, ref)
    check_columns(table, options)
    target = target_bytes(table, options)
    base = refs.head(table, ref)
    snapshot = table.snapshot_by_id(base) if base is not None else None
    if base is not None and snapshot is None:
        raise DrlsError(f"{'.'.join(table.name())} no longer has snapshot {base}, which {ref} points to")
    if snapshot is None:
        return Selection(None, 0, (), (), (), target)
    manifests = manifests or Manifests(table.io)
    entries = [entry for _, entry in manifests.live(snapshot)]
    data = tuple(one for one in entries if one.data_file.content == 0)
    deletes = tuple(one for one in entries if one.data_file.content != 0)
    spark = _only_spark(table, entries)
    if spark and options.where.strip():
        raise UsageError(
            f"{'.'.join(table.name())} cannot be compacted by a filter: {spark}, and Spark takes no filter"
        )
    matching = _matching(table, snapshot.snapshot_id, options.where)
    clustered = clustering(table, options)
    done = {
        one.snapshot_id
        for one in table.metadata.snapshots
        if clustered and refs.summary(one).get(CLUSTERED) == clustered
    }
    by_partition: dict[Partition, list[Candidate]] = defaultdict(list)
    for one in _with_deletes(table, data, () if spark else deletes):
        if one.file.file_path not in without and (matching is None or one.file.file_path in matching):
            by_partition[partition_of(one.file)].append(one)
    hidden = sum(one.data_file.record_count for one in deletes if one.data_file.content == 1) if spark else 0
    if hidden and hidden >= DELETED_SHARE * sum(one.data_file.record_count for one in data):
        options = options.model_copy(update={"all": True})
    groups: list[Group] = []
    for partition, files in sorted(by_partition.items()):
        # In the order of writing, which often is an order of time that the bounds of files then keep.
        files.sort(key=lambda one: (one.entry.sequence_number or 0, one.file.file_path))
        groups += _groups(partition, files, options, target, done)
    size = sum(one.size for one in groups)
    if not spark and spark_above is not None and size > spark_above and not options.where.strip():
        spark = f"it rewrites more than maintenance.spark_above, {spark_above:,} bytes"
    return Selection(base, snapshot.sequence_number or 0, tuple(groups), data, deletes, target, spark)


def _check_branch(table: Table, ref: str) -> None:
    """Raises UsageError where `ref` is no branch. A table without a snapshot has no `main` yet, which is no mistake."""
    found = table.metadata.refs.get(ref)
    if found is None and (ref != MAIN or table.metadata.refs):
        raise UsageError(f"{'.'.join(table.name())} has no branch '{ref[:100]}'")
    if found is not None and found.snapshot_ref_type.value == "tag":
        raise UsageError(f"'{ref[:100]}' of {'.'.join(table.name())} is a tag, which keeps its files; name a branch")


def _groups(
    partition: Partition,
    files: Sequence[Candidate],
    options: CompactOptions,
    target: int,
    done: AbstractSet[int | None],
) -> list[Group]:
    if options.strategy != "binpack":
        new = [one for one in files if one.entry.snapshot_id not in done or one.applied]
        if not options.all and not new:
            return []
        return [Group(partition, tuple(part)) for part in packed(files, GROUP_BYTES)]
    wanted = files if options.all else [one for one in files if _needs_it(one, target)]
    found = [Group(partition, tuple(part)) for part in packed(wanted, target)]
    return [one for one in found if options.all or _is_worth_it(one, options.min_files, target)]


def packed(files: Sequence[Candidate], limit: int) -> list[list[Candidate]]:
    """Neighbours together, each part of at most `limit` bytes, or of one file."""
    parts: list[list[Candidate]] = []
    size = 0
    for one in files:
        if not parts or size + one.size > limit:
            parts.append([])
            size = 0
        parts[-1].append(one)
        size += one.size
    return parts


def _needs_it(one: Candidate, target: int) -> bool:
    return not SMALL_SHARE * target <= one.size <= LARGE * target or _is_much_deleted(one)


def _is_much_deleted(one: Candidate) -> bool:
    applied = one.applied
    rows = sum(delete.data_file.record_count for delete in applied)
    return len(applied) >= _DELETE_FILES or rows >= max(1, DELETED_SHARE * one.file.record_count)


def _is_worth_it(group: Group, min_files: int, target: int) -> bool:
    return (
        len(group.files) >= max(2, min_files)
        or any(one.size > LARGE * target for one in group.files)
        or any(_is_much_deleted(one) for one in group.files)
    )


def _with_deletes(table: Table, data: Sequence[ManifestEntry], deletes: Sequence[ManifestEntry]) -> list[Candidate]:
    named: dict[bytes, list[ManifestEntry]] = defaultdict(list)
    ranges: dict[Partition, list[ManifestEntry]] = defaultdict(list)
    for one in deletes:
        if one.data_file.content == 1:
            low, high = referenced_paths(one.data_file)
            if low is not None and low == high:
                named[low].append(one)
            else:
                ranges[partition_of(one.data_file)].append(one)
    by_equality = EqualityDeletes(table, deletes)
    found: list[Candidate] = []
    for entry in data:
        possible = [*named.get(entry.data_file.file_path.encode(), ()), *ranges.get(partition_of(entry.data_file), ())]
        applied = tuple(one for one in possible if applies(one, entry))
        found.append(Candidate(entry, applied, by_equality.of(entry.data_file)))
    return found


def _only_spark(table: Table, entries: Sequence[ManifestEntry]) -> str:
    if table.format_version > 2:
        return f"it has format version {table.format_version}, which only Spark can write"
    unusual = _unusual_equality(table, [one.data_file for one in entries if one.data_file.content == 2])
    if unusual:
        return unusual
    if any(one.data_file.file_format.value != "PARQUET" for one in entries):
        return "some of its files are not Parquet"
    return ""


def _unusual_equality(table: Table, deletes: Sequence[DataFile]) -> str:
    """Why equality deletes cannot be applied here, or empty."""
    from pyiceberg.types import DoubleType, FloatType, PrimitiveType

    rows = sum(one.record_count for one in deletes)
    if rows > _MOST_KEYS:
        return f"it has {rows:,} equality deletes, more than fit in memory"
    columns = {one.field_id: one.field_type for each in table.schemas().values() for one in each.fields}
    for field_id in {each for one in deletes for each in one.equality_ids or ()}:
        kind = columns.get(field_id)
        if not isinstance(kind, PrimitiveType) or isinstance(kind, (FloatType, DoubleType)):
            said = f"a column of type {kind}" if kind is not None else "part of a column"
            return f"it has equality deletes by {said}"
    if any(not one.equality_ids for one in deletes):
        return "it has equality deletes that name no columns"
    return ""


def _matching(table: Table, base: int, where: str) -> frozenset[str] | None:
    """Paths of the files that may have rows that `where` names; None: of all. The text never becomes SQL.

    Raises UsageError where it is no condition on columns of the table.
    """
    from pyiceberg.expressions.parser import parse
    from pyiceberg.expressions.visitors import bind
    from pyiceberg.table import ManifestGroupPlanner

    if not where.strip():
        return None
    try:
        condition = parse(where)
        bind(table.schema(), condition, case_sensitive=True)
        # A scan plans delete files too, and refuses those by equality.
        snapshot = table.snapshot_by_id(base)
        data = [one for one in snapshot.manifests(table.io) if one.content == 0] if snapshot else []
        planner = ManifestGroupPlanner(table.metadata, table.io, row_filter=condition)
        return frozenset(one.data_file.file_path for part in planner.plan_manifest_entries(data) for one in part)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 (of many kinds: a filter is what somebody typed)
        shown = " ".join(where.split())[:200]
        raise UsageError(f"the filter '{shown}' cannot be used: {_why(table, error)}") from None


def _why(table: Table, error: Exception) -> str:
    place = getattr(error, "column", None)  # of pyparsing's errors, whose text is the whole grammar
    if isinstance(place, int):
        return f"it is no condition from character {place} on; write for example: day >= '2026-11-01' and amount > 10"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if unknown := re.search(r"Could not find field with name (.+), case_sensitive", str(error)):
        names = [one.name for one in table.schema().fields]
        return f"there is no column {unknown[1]!r}; the table has: {told(names)}"
    return "a value in it does not fit its column; write for example: day >= '2026-11-01' and amount > 10"
