"""Operations that need no process: they are over at once, or wait for ever where their filter is `wait`."""

from __future__ import annotations

from drls_dagster.ledger import open_ledger
from drls_dagster.maintenance.port import TableMaintenance
from drls_dagster.settings import Settings
from lifecycle.domain.operations import (
    CompactResult,
    ExpireResult,
    ManifestResult,
    OperationKind,
    OperationState,
    OrphanResult,
    Result,
    VacuumResult,
)
from tests.drls_dagster.maintenance.toy import KINDS, WAITS

_RESULTS: dict[OperationKind, Result] = {
    OperationKind.COMPACT: CompactResult(
        rewritten_files=2, new_files=1, rewritten_bytes=20, new_bytes=10, applied_deletes=0, snapshot=2**60
    ),
    OperationKind.MANIFESTS: ManifestResult(rewritten_manifests=2, new_manifests=1),
    OperationKind.EXPIRE: ExpireResult(expired_count=1, remaining_count=1, deleted_files=1, deleted_bytes=1),
    OperationKind.ORPHANS: OrphanResult(orphan_count=1, removed_bytes=1, removed_count=1, files=("a",), dry_run=False),
    OperationKind.VACUUM: VacuumResult(),
}


class InstantMaintenance(TableMaintenance):
    """Plans and rows are real; the process is not."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, kinds=KINDS)

    def launch(self, operation_id: int) -> None:
        ledger = open_ledger(self._settings)
        row = ledger.operation(operation_id)
        if row is None or "wait" in (row.options.get("where"), row.options.get("target_bytes") == WAITS and "wait"):
            return
        ledger.begin_operation(operation_id)
        result = _RESULTS[OperationKind(row.kind)].model_dump(mode="json")
        ledger.end_operation(operation_id, OperationState.DONE, result=result)
