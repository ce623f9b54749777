"""Writing the receipt of a used permit."""

from __future__ import annotations

from lifecycle.domain.run import MaintenancePermit, Permit, PermitState, Receipt
from lifecycle.store.unit import Unit


def write_receipt(unit: Unit, permit: Permit) -> Receipt:
    """Closes `permit` as used (if it is live) and writes its receipt; written already: that one."""
    known = unit.runs.receipt_of(permit.id)
    if known is not None:
        return known
    if permit.state is PermitState.LIVE:
        unit.runs.close_permit(permit, PermitState.USED)
    admission = unit.runs.admission_by_id(permit.admission_id)
    receipt = unit.runs.add_receipt(
        permit_id=permit.id,
        promotion_id=None,
        run_id=admission.run_id,
        root_run_id=admission.root_run_id,
        environment=permit.environment.value,
        pipeline_id=permit.pipeline_id,
        version_id=permit.version_id,
        session_id=permit.session_id,
        step=permit.step,
        partition=permit.partition,
        table_name=permit.table_name,
        ref=permit.ref,
        base=permit.base,
        snapshot=permit.candidate,
        details=permit.details.model_dump(mode="json"),
    )
    unit.audit(
        "receipt.written",
        f"run:{admission.run_id}",
        receipt=receipt.id,
        permit=permit.id,
        table=permit.table_name,
        ref=permit.ref,
        snapshot=str(permit.candidate),
        after=permit.state.value,
        seal=permit.details.seal and permit.details.seal.root,
    )
    return receipt


def write_maintenance_receipt(unit: Unit, permit: MaintenancePermit) -> Receipt:
    """Closes a maintenance permit as used (if it is live) and writes its receipt; written already: that one."""
    known = unit.runs.receipt_of_maintenance(permit)
    if known is not None:
        return known
    if permit.state is PermitState.LIVE:
        unit.runs.close_maintenance(permit, PermitState.USED)
    receipt = unit.runs.add_receipt(
        permit_id=None,
        promotion_id=None,
        run_id=permit.run_id,
        root_run_id=permit.run_id,
        environment=permit.environment.value,
        pipeline_id=permit.pipeline_id,
        version_id=permit.version_id,
        session_id=None,
        step=permit.table_name,
        partition="",
        table_name=permit.table_name,
        ref=permit.ref,
        base=permit.base,
        snapshot=permit.candidate,
        details=permit.details.model_dump(mode="json"),
    )
    unit.audit(
        "receipt.written",
        permit.run_id,
        receipt=receipt.id,
        table=permit.table_name,
        ref=permit.ref,
        snapshot=str(permit.candidate),
        after=permit.state.value,
        seal=permit.details.seal and permit.details.seal.root,
    )
    return receipt
