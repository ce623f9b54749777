"""Maintenance of an environment's tables: what its job asks for, and what the policies allow it to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from annotated_types import MaxLen

from drls_dagster.lifecycle_client.gateway import gateway_actor
from drls_dagster.maintenance.port import TableMaintenance
from drls_dagster.maintenance.rounds import Visit, go_round
from drls_dagster.runs.operation import operation
from lifecycle.domain.operations import (
    CompactOptions,
    ExpireOptions,
    ManifestOptions,
    Operation,
    OperationAt,
    OperationKind,
    Options,
    OrphanOptions,
)
from lifecycle.domain.table_health import HealthReport
from lifecycle.domain.table_policy import TablePolicy, waits_in_words
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Forbidden, NotFound, Refused
from lifecycle.usecases.operate_table import show_automatic, start_automatic, stop_automatic
from lifecycle.usecases.parts.visible_tables import environment_of

if TYPE_CHECKING:
    from drls_dagster.runs.run import Run
    from lifecycle.ports import Tables
    from lifecycle.usecases.context import Context

Name = Annotated[str, MaxLen(500)]
ACTOR = "maintenance job"
_OPTIONS: dict[OperationKind, Options] = {
    OperationKind.MANIFESTS: ManifestOptions(),
    OperationKind.EXPIRE: ExpireOptions(),
    OperationKind.ORPHANS: OrphanOptions(dry_run=False),
}


@operation(early=True, late=True, upkeep=True)
def look_at_tables(run: Run, only: Annotated[list[str], MaxLen(100_000)]) -> Sequence[Visit]:
    """How each table of the environment is, or of them only these, and what its policy makes of it; worst first."""
    return go_round(run.settings, _tables(run), run.environment, only)


@operation(early=True, late=True, upkeep=True)
def look_at_table(run: Run, name: Name) -> HealthReport | None:
    """The health of a pipeline's table as the environment has it; None for one that is not there yet."""
    try:
        return _tables(run).health(TableAt(name=name, environment=run.environment))
    except NotFound:
        return None


@operation(early=True, late=True, upkeep=True)
def begin(run: Run, name: Name, kind: OperationKind) -> Operation | None:
    """Starts what the table's policy allows now; None where the table does not need it.

    Raises Forbidden for another environment's table, Refused outside the windows, where the policy does not allow
    it, and while a freeze or a stop concerns the table, Conflict while another operation is at work on it.
    """
    if environment_of(name) is not run.environment:
        raise Forbidden(f"{name} is not one of {run.environment.label}'s own tables")
    ctx = _keeping(run)
    policy = ctx.maintenance.policy(OperationAt(table=name, ref=""), datetime.now(UTC))
    if kind not in policy.automatic:
        raise Refused(f"the policy of {name} does not allow it; see drls maintain policy")
    if policy.waits:
        raise Refused(waits_in_words(policy))
    return start_automatic(ctx, gateway_actor(ACTOR), kind, name, _options(kind, policy))


@operation(early=True, late=True, upkeep=True)
def follow(run: Run, operation_id: int) -> Operation:
    """How an operation that the job began is now. Raises NotFound for one of a person."""
    return show_automatic(_keeping(run), gateway_actor(ACTOR), operation_id)


@operation(early=True, late=True, upkeep=True)
def stop(run: Run, operation_id: int) -> Operation:
    """Asks one to stop that the job began. Raises NotFound for one of a person."""
    return stop_automatic(_keeping(run), gateway_actor(ACTOR), operation_id)


def _options(kind: OperationKind, policy: TablePolicy) -> Options:
    if kind is OperationKind.COMPACT:
        return CompactOptions(strategy=policy.strategy, columns=policy.columns)
    return _OPTIONS[kind]


def _keeping(run: Run) -> Context:
    ctx = run.lifecycle
    return ctx if ctx.maintenance.kinds() else replace(ctx, maintenance=TableMaintenance(run.settings))


def _tables(run: Run) -> Tables:
    from drls_dagster.lakehouse.reader import IcebergTables

    return IcebergTables(run.settings)
