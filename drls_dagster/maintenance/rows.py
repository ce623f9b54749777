"""Operations as the lifecycle knows them, from the ledger's rows."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import TypeAdapter

from drls_dagster.ledger.operations import OperationRow
from lifecycle.domain.operations import Operation, OperationKind, OperationPlan, Progress, Result

_RESULT: TypeAdapter[Result] = TypeAdapter(Result)


def operation_of(row: OperationRow) -> Operation:
    """The row in the lifecycle's words."""
    return Operation(
        id=row.id,
        kind=OperationKind(row.kind),
        table=row.table_name,
        ref=row.ref,
        options=dict(row.options),
        plan=OperationPlan.model_validate(row.plan) if row.plan else None,
        state=row.state,
        progress=Progress.model_validate(row.progress) if row.progress else None,
        result=_RESULT.validate_python(row.result) if row.result else None,
        error=row.error,
        asked_by=row.asked_by,
        at=datetime.fromtimestamp(row.at, UTC),
        ended_at=None if row.ended_at is None else datetime.fromtimestamp(row.ended_at, UTC),
        cancelling=row.cancelling,
    )
