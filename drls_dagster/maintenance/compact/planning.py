"""What a compaction would do, in numbers and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.maintenance.compact.selecting import Selection
from lifecycle.domain.operations import CompactOptions, OperationKind, OperationPlan, plan_digest

if TYPE_CHECKING:
    from pyiceberg.table import Table

_BYTES_A_SECOND = 60 << 20
_SORTED_BYTES_A_SECOND = 25 << 20


def planned(table: Table, ref: str, options: CompactOptions, chosen: Selection) -> OperationPlan:
    files = sum(len(group.files) for group in chosen.groups)
    size = sum(group.size for group in chosen.groups)
    after = sum(max(1, round(group.size / chosen.target)) for group in chosen.groups)
    figures = {
        "files_before": len(chosen.data),
        "files_after": len(chosen.data) - files + after,
        "rewritten_files": files,
        "new_files": after,
        "rewritten_bytes": size,
        "delete_files": len(chosen.deletes),
        "groups": len(chosen.groups),
        "target_bytes": chosen.target,
    }
    return OperationPlan(
        kind=OperationKind.COMPACT,
        table=".".join(table.name()),
        ref=ref,
        base=chosen.base,
        needed=bool(chosen.groups),
        reasons=tuple(_reasons(chosen, options, files, size, after)),
        figures=figures,
        cost=_cost(options, size, chosen.spark),
        digest=plan_digest(OperationKind.COMPACT, str(table.metadata.table_uuid), ref, chosen.base, options, figures),
    )


def _reasons(chosen: Selection, options: CompactOptions, files: int, size: int, after: int) -> list[str]:
    if chosen.base is None:
        return ["the table has no snapshot"]
    if not chosen.groups:
        return [f"none of {len(chosen.data)} files needs it at a target of {_mib(chosen.target)}"]
    found = [f"{files} of {len(chosen.data)} files ({_mib(size)}) become about {after} of {_mib(chosen.target)}"]
    deleted = sum(1 for group in chosen.groups for one in group.files if one.applied)
    if deleted:
        found.append(f"{deleted} of them have rows that delete files hide")
    if chosen.spark:
        found.append(f"Spark does it on the engine, which is started if it does not run: {chosen.spark}")
    if options.strategy != "binpack":
        found.append(f"rows are ordered by {', '.join(options.columns) or 'the sort order of the table'}")
    return found


def _cost(options: CompactOptions, size: int, spark: str) -> str:
    if not size:
        return "nothing"
    if spark:
        return f"Spark reads and writes up to {_mib(size)}; the old files stay until their snapshots expire"
    speed = _BYTES_A_SECOND if options.strategy == "binpack" else _SORTED_BYTES_A_SECOND
    seconds = max(1, round(size / speed))
    return f"reads and writes {_mib(size)}, about {seconds} s; the old files stay until their snapshots expire"


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB" if size < 2**30 else f"{size / 2**30:,.1f} GiB"
