"""Which snapshots and refs a table's own rules let go: `history.expire.*`, and what each ref says of itself.

As in Iceberg's own `expire_snapshots`, with one difference: asked only to keep the last N, it keeps the last N of each
branch, however young the others are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse.naming import ENVIRONMENTS, MAIN
from lifecycle.domain.evolution import told

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.refs import SnapshotRef
    from pyiceberg.table.snapshots import Snapshot

    from lifecycle.domain.operations import ExpireOptions

MIN_SNAPSHOTS = "history.expire.min-snapshots-to-keep"
MAX_SNAPSHOT_AGE = "history.expire.max-snapshot-age-ms"
MAX_REF_AGE = "history.expire.max-ref-age-ms"
_FIVE_DAYS = 5 * 86_400_000
_OF_DRLS = re.compile(r"drls[-_].*")


@dataclass(frozen=True)
class Retention:
    """What may go. `held` counts, by reason, snapshots that go by the rules and are needed all the same."""

    expired: tuple[Snapshot, ...]
    refs: tuple[str, ...]
    held: Mapping[str, int]
    held_refs: Mapping[str, str]


def retention(
    metadata: TableMetadata,
    options: ExpireOptions,
    refs: Mapping[str, str],
    snapshots: Mapping[int, str],
    now: int,
) -> Retention:
    """`refs` and `snapshots` stay whatever the rules say, each with its reason; `now` is in milliseconds.

    Raises UsageError for a branch that the table does not have.
    """
    for name in options.refs:
        ref = metadata.refs.get(name)
        if ref is None or ref.snapshot_ref_type != "branch":
            branches = sorted(one for one, ref in metadata.refs.items() if ref.snapshot_ref_type == "branch")
            raise UsageError(f"the table has no branch {name!r}; it has: {told(branches)}")
    by_id = {one.snapshot_id: one for one in metadata.snapshots}
    old = {name for name, ref in metadata.refs.items() if _is_old(metadata, name, ref, by_id, options, now)}
    held_refs = {name: why for name in old if (why := refs.get(name) or _kept_ref(name))}
    gone = old - set(held_refs)
    stay: set[int] = set()
    known: set[int] = set()
    for name, ref in metadata.refs.items():
        if name in gone:
            continue
        if ref.snapshot_ref_type == "tag":
            known.add(ref.snapshot_id)
            stay.add(ref.snapshot_id)
            continue
        line = list(_ancestors(by_id, ref.snapshot_id))
        known.update(one.snapshot_id for one in line)
        limited = options.refs and name not in options.refs
        stay.update(one.snapshot_id for one in (line if limited else _of_branch(metadata, ref, line, options, now)))
    # On no ref: rolled back, or written and not published yet. Only age says which.
    loose = now - _age(metadata) if options.older_than is None else int(options.older_than.timestamp() * 1000)
    stay.update(
        one.snapshot_id
        for one in metadata.snapshots
        if one.snapshot_id not in known and (options.refs or one.timestamp_ms >= loose)
    )
    wanted = [one for one in metadata.snapshots if one.snapshot_id not in stay]
    held: dict[str, int] = {}
    for one in wanted:
        if why := snapshots.get(one.snapshot_id):
            held[why] = held.get(why, 0) + 1
    expired = tuple(one for one in wanted if one.snapshot_id not in snapshots)
    return Retention(expired, tuple(sorted(gone)), held, held_refs)


def _of_branch(
    metadata: TableMetadata, ref: SnapshotRef, line: list[Snapshot], options: ExpireOptions, now: int
) -> Iterator[Snapshot]:
    """The snapshots of a branch, newest first, that its rules keep: what the branch itself says goes first."""
    least = ref.min_snapshots_to_keep or options.retain_last or _number(metadata, MIN_SNAPSHOTS, 1)
    if ref.max_snapshot_age_ms is not None:
        young = now - ref.max_snapshot_age_ms
    elif options.older_than is not None:
        young = int(options.older_than.timestamp() * 1000)
    else:
        young = None if options.retain_last else now - _age(metadata)
    for number, one in enumerate(line):
        if number >= least and (young is None or one.timestamp_ms < young):
            return
        yield one


def _is_old(
    metadata: TableMetadata,
    name: str,
    ref: SnapshotRef,
    by_id: Mapping[int, Snapshot],
    options: ExpireOptions,
    now: int,
) -> bool:
    if name == MAIN or (options.refs and name not in options.refs):
        return False
    most = ref.max_ref_age_ms or _number(metadata, MAX_REF_AGE, 0)
    head = by_id.get(ref.snapshot_id)
    return bool(most) and head is not None and now - head.timestamp_ms > most


def _kept_ref(name: str) -> str | None:
    if name in ENVIRONMENTS:
        return "the branch of an environment"
    return "a ref of DRLS" if _OF_DRLS.fullmatch(name) else None


def _ancestors(by_id: Mapping[int, Snapshot], snapshot_id: int | None) -> Iterator[Snapshot]:
    while snapshot_id is not None and (one := by_id.get(snapshot_id)) is not None:
        yield one
        snapshot_id = one.parent_snapshot_id


def _age(metadata: TableMetadata) -> int:
    return _number(metadata, MAX_SNAPSHOT_AGE, _FIVE_DAYS)


def _number(metadata: TableMetadata, name: str, default: int) -> int:
    text = metadata.properties.get(name)
    if text is None:
        return default
    try:
        return max(0, int(text))
    except ValueError:
        raise UsageError(f"the table's property {name} is {text!r}; set it to a whole number") from None
