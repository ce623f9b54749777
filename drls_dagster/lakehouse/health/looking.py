"""A look at a table: its report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.file_sizes import target_bytes
from drls_dagster.lakehouse.health import drift, files
from drls_dagster.lakehouse.health.measures import Numbers, of_deletes, of_files, of_manifests
from drls_dagster.lakehouse.health.orphans import orphans
from drls_dagster.lakehouse.naming import MAIN
from drls_dagster.lakehouse.refs import ancestors, head
from drls_dagster.lakehouse.retention import MIN_SNAPSHOTS
from drls_dagster.lakehouse.tables import snapshot_total
from drls_dagster.maintenance_settings import MaintenanceSettings
from lifecycle.domain.table_health import HealthCost, HealthKind, HealthReport, Measure, judge
from lifecycle.usecases.parts.visible_tables import environment_of

if TYPE_CHECKING:
    from pyiceberg.table import Table

POLICY = "drls.maintenance."
PROPERTY = f"{POLICY}health."
_GB = 1_000_000_000


def look(
    name: str, table: Table, ref: str, settings: MaintenanceSettings, *, count_orphans: bool = False
) -> HealthReport:
    """The health of a table at a ref. Reads the manifest list and the manifests, and no data.

    `count_orphans` also lists the table's folder, and reads the manifests of every snapshot.
    """
    at = head(table, ref)
    snapshot = table.snapshot_by_id(at) if at is not None else None
    sorted_by = drift.first_sort_column(table)
    found = files.manifests(table.io, snapshot, sorted_by) if snapshot is not None else []
    numbers = Numbers.of(found, target_bytes(table))
    size = _metadata_bytes(table)
    measures = [
        *of_files(numbers),
        *of_deletes(numbers),
        *_of_history(table, size),
        *of_manifests(numbers),
    ]
    if sorted_by is not None:
        measures.append(_of_order(table, sorted_by, numbers))
    if count_orphans:
        measures.append(orphans(table))
    judged = judge(name, measures, thresholds(table.properties, settings))
    return HealthReport(
        name=name,
        snapshot=at,
        snapshot_count=len(table.metadata.snapshots),
        data_file_count=len(numbers.files),
        small_file_count=numbers.small,
        delete_file_count=len(numbers.deletes),
        manifest_count=numbers.manifests,
        bytes=numbers.bytes,
        target_bytes=numbers.target,
        recommendation=judged.recommendation,
        score=judged.score,
        reasons=judged.reasons,
        measures=judged.measures,
        cost=_cost(table, at, numbers, settings),
        manifest_bytes=numbers.manifest_bytes,
        metadata_bytes=size,
        policy=own_properties(table),
    )


def own_properties(table: Table) -> dict[str, str]:
    """What the table says of its own maintenance, without thresholds: properties by what follows `drls.maintenance.`"""
    return {
        name.removeprefix(POLICY): value
        for name, value in sorted(table.properties.items())
        if name.startswith(POLICY) and not name.startswith(PROPERTY)
    }


def own_ref(name: str, table: Table) -> str:
    """What the table is at for its owner: `main`, but the branch of QA or UAT where that is all there is."""
    ref = environment_of(name).ref
    return ref if head(table, MAIN) is None and head(table, ref) is not None else MAIN


def thresholds(properties: Mapping[str, str], settings: MaintenanceSettings) -> dict[HealthKind, float]:
    """Those of the settings, or what the table's own properties say where that is a number above zero."""
    found = dict(settings.health.thresholds)
    for kind in HealthKind:
        own = _number(properties.get(PROPERTY + kind.value))
        if own is not None:
            found[kind] = own
    return found


def _of_history(table: Table, size: int | None) -> list[Measure]:
    """What every reader loads first: the metadata file, which names each snapshot."""
    count = len(table.metadata.snapshots)
    held = {one.snapshot_id for name, one in table.metadata.refs.items() if name != "main"}
    found = [
        Measure(
            kind=HealthKind.SNAPSHOTS,
            number=count - len(held),
            # Expiry keeps so many.
            floor=(_number(table.properties.get(MIN_SNAPSHOTS)) or 0) + 1,
            text=f"{count:,} snapshot{'' if count == 1 else 's'}, {len(held):,} of them held by branches and tags",
            advice=f"expire snapshots: it keeps {count:,}",
        )
    ]
    if size is not None:
        text = f"every reader loads {size:,} bytes of metadata"
        advice = f"expire snapshots: it keeps {count:,}" if count > 1 else ""
        found.append(Measure(kind=HealthKind.METADATA_BYTES, number=size, text=text, advice=advice))
    return found


def _of_order(table: Table, column: int, numbers: Numbers) -> Measure:
    number = drift.depth(table, column, numbers.files)
    name = table.schema().find_column_name(column)
    return Measure(
        kind=HealthKind.SORT_DRIFT,
        number=number,
        text=f"a value of {name} is in {number:,.1f} files of its partition, on average",
        advice=f"sort it by {name} again",
    )


def _cost(table: Table, at: int | None, numbers: Numbers, settings: MaintenanceSettings) -> HealthCost:
    # A file that a snapshot removed was in the one before, which still holds it.
    known = {one.snapshot_id for one in table.metadata.snapshots}
    history = sum(
        snapshot_total(one, "removed-files-size") or 0
        for one in ancestors(table, at)
        if one.parent_snapshot_id in known
    )
    price = settings.storage_price
    return HealthCost(
        extra_files=numbers.extra,
        scan_overhead=numbers.scan_overhead,
        history_bytes=history,
        storage_price=round((numbers.bytes + history) / _GB * price, 2),
        history_price=round(history / _GB * price, 2),
        currency=settings.currency,
    )


def _metadata_bytes(table: Table) -> int | None:
    """None where the catalog keeps the metadata to itself."""
    try:
        return len(table.io.new_input(table.metadata_location))
    except (OSError, ValueError):
        return None


def _number(given: str | None) -> float | None:
    try:
        number = float(given or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
