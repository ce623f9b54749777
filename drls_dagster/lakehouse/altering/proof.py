"""Whether metadata proves that a column has no null, in any file that a branch or tag reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.lakehouse.altering.paths import Path, shown
from drls_dagster.lakehouse.altering.staged import Look
from drls_dagster.lakehouse.refs import ref_is
from lifecycle.errors import Refused

if TYPE_CHECKING:
    from pyiceberg.table.update import TableRequirement
    from pyiceberg.types import NestedField


def require_proof(look: Look, path: Path, field: NestedField) -> tuple[TableRequirement, ...]:
    """What must still hold when the column becomes required: every ref is where it was looked at.

    Raises Refused where a file has a null, or does not count them.
    """
    if len(path) > 1:
        raise Refused(
            f"{shown(path)} stays optional: that a nested field has no null cannot be proven from metadata alone"
        )
    seen: set[str] = set()
    for ref, one in sorted(look.table.metadata.refs.items()):
        for task in look.table.scan(snapshot_id=one.snapshot_id).plan_files():
            file = task.file
            if file.file_path in seen or file.record_count == 0:
                continue
            seen.add(file.file_path)
            values = (file.value_counts or {}).get(field.field_id)
            nulls = (file.null_value_counts or {}).get(field.field_id)
            if values is None or nulls is None or values < file.record_count:
                raise Refused(
                    f"{shown(path)} stays optional: a file of '{ref}' does not have the column or does not count its "
                    "nulls, so they cannot be ruled out; rewrite the table with the column filled"
                )
            if nulls:
                raise Refused(f"{shown(path)} stays optional: a file of '{ref}' has {nulls:,} nulls in it; fill them")
    return tuple(ref_is(ref, one.snapshot_id) for ref, one in sorted(look.table.metadata.refs.items()))
