"""How a table's files are, from manifests alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.lakehouse.reader.finding import Found
from drls_dagster.lakehouse.refs import head
from lifecycle.domain.tables import HealthReport

if TYPE_CHECKING:
    from pyiceberg.manifest import ManifestEntry
    from pyiceberg.table.snapshots import Snapshot

_TARGET = "write.target-file-size-bytes"
_DEFAULT_TARGET = 512 * 1024 * 1024
_SMALL = 0.75  # of the target, as Iceberg's own compaction counts
_WORTH_IT = 5  # small files of one partition, as Iceberg's own compaction counts
_MANY_SNAPSHOTS = 100


def health(found: Found) -> HealthReport:
    table = found.table
    at = head(table, found.ref)
    snapshot = table.snapshot_by_id(at) if at is not None else None
    entries, deletes, manifests = _entries(found, snapshot)
    target = _target(table.properties.get(_TARGET))
    small = [one for one in entries if one.data_file.file_size_in_bytes < target * _SMALL]
    groups: dict[object, list[int]] = {}
    for one in small:
        groups.setdefault(repr(one.data_file.partition), []).append(one.data_file.file_size_in_bytes)
    # What compaction would save: a group becomes as few files as its bytes need.
    mergeable = [sizes for sizes in groups.values() if len(sizes) >= _WORTH_IT]
    saved = sum(len(sizes) - max(-(-sum(sizes) // target), 1) for sizes in mergeable)
    count = len(table.metadata.snapshots)
    return HealthReport(
        name=found.name,
        snapshot=at,
        snapshot_count=count,
        data_file_count=len(entries),
        small_file_count=len(small),
        delete_file_count=deletes,
        manifest_count=manifests,
        bytes=sum(one.data_file.file_size_in_bytes for one in entries),
        target_bytes=target,
        recommendation=_recommendation(len(entries), saved, deletes, count),
    )


def _entries(found: Found, snapshot: Snapshot | None) -> tuple[list[ManifestEntry], int, int]:
    """Data files, how many delete files, and how many manifests."""
    from pyiceberg.manifest import ManifestContent

    if snapshot is None:
        return [], 0, 0
    entries: list[ManifestEntry] = []
    deletes = 0
    manifests = snapshot.manifests(found.table.io)
    for manifest in manifests:
        living = manifest.fetch_manifest_entry(found.table.io, discard_deleted=True)
        if manifest.content == ManifestContent.DELETES:
            deletes += len(living)
        else:
            entries += living
    return entries, deletes, len(manifests)


def _target(given: str | None) -> int:
    """The property's bytes; the default where it is not a number."""
    number = int(given) if given is not None and given.isdigit() else 0
    return number or _DEFAULT_TARGET


def _recommendation(files: int, saved: int, deletes: int, snapshots: int) -> str:
    found: list[str] = []
    if saved:
        found.append(f"compact it: {files:,} data files could be {files - saved:,}")
    if deletes:
        found.append(f"compact it to apply {deletes:,} delete file{'s' if deletes > 1 else ''}")
    if snapshots > _MANY_SNAPSHOTS:
        found.append(f"expire snapshots: it keeps {snapshots:,}")
    text = "; ".join(found)
    return text[:1].upper() + text[1:] if text else "Healthy: nothing to do"
