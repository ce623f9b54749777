"""Where nothing can work on tables: operations are refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn

from lifecycle.domain.operations import Operation, OperationAt, OperationKind, OperationPlan, OperationState, Options
from lifecycle.domain.people import Actor
from lifecycle.domain.table_policy import TablePolicy
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Refused
from lifecycle.ports import Maintenance


class NoMaintenance(Maintenance):
    """Says that nothing is connected; it pretends nothing."""

    def kinds(self) -> Sequence[OperationKind]:
        return ()

    def locate(self, table: TableAt, ref: str | None) -> OperationAt:
        _refuse()

    def policy(self, at: OperationAt, now: datetime) -> TablePolicy:
        _refuse()

    def plan(self, kind: OperationKind, at: OperationAt, options: Options) -> OperationPlan:
        _refuse()

    def reserve(
        self, at: OperationAt, plan: OperationPlan, options: Options, actor: Actor, pipeline: str | None
    ) -> Operation:
        _refuse()

    def forget(self, operation_id: int) -> None:
        _refuse()

    def launch(self, operation_id: int) -> None:
        _refuse()

    def operation(self, operation_id: int) -> Operation:
        _refuse()

    def operations(
        self, table: str | None, states: Sequence[OperationState], before: int | None, limit: int
    ) -> Sequence[Operation]:
        _refuse()

    def cancel(self, operation_id: int) -> None:
        _refuse()


def _refuse() -> NoReturn:
    raise Refused("nothing that works on tables is connected to this DRLS")
