"""What stood in production at a time: each table's snapshot, where it came from, and who approved the release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import Verdict
from lifecycle.domain.releases import ROLLBACK, TableThen
from lifecycle.domain.run import Receipt
from lifecycle.domain.version import Deployment
from lifecycle.store.unit import View


def tables_of(
    view: View, deployments: Sequence[Deployment], at: datetime | None = None
) -> dict[int, tuple[TableThen, ...]]:
    """By deployment, every table that its pipeline writes, or was the last to write, by name; none outside production.

    As the receipts have it: a publish counts from its receipt, some milliseconds behind its commit, and compaction,
    which changes no row, leaves the snapshot that it compacted. Many deployments cost as few queries as one.
    """
    at = at or view.now
    here = [one for one in deployments if one.environment is Environment.PRODUCTION]
    pipelines = {one.pipeline_id for one in here}
    published = view.runs.published(pipelines, Environment.PRODUCTION, at)
    carried = {(one.table_name, one.snapshot) for one in published if one.permit_id is None}
    writers = view.runs.writers(carried)
    wrote = {
        one.id: one if one.permit_id is not None else writers.get((one.table_name, one.snapshot)) for one in published
    }
    numbers = view.pipelines.numbers({one.version_id for one in wrote.values() if one is not None})
    found: dict[int, dict[str, TableThen]] = {pipeline: {} for pipeline in pipelines}
    for receipt in published:
        found[receipt.pipeline_id][receipt.table_name] = _then(receipt, wrote[receipt.id], numbers)
    for drift in view.runs.adopted_by(pipelines, Environment.PRODUCTION, at):
        tables = found[drift.pipeline_id]
        before = tables.get(drift.table_name)
        if before is None or before.since is None or (drift.closed_at is not None and drift.closed_at > before.since):
            tables[drift.table_name] = TableThen(table=drift.table_name, snapshot=drift.found, since=drift.closed_at)
    written = view.pipelines.tables_of({one.version_id for one in here})
    for one in here:
        for table in written.get(one.version_id, ()):
            found[one.pipeline_id].setdefault(table, TableThen(table=table))
    tables_by = {pipeline: tuple(tables[name] for name in sorted(tables)) for pipeline, tables in found.items()}
    return {
        one.id: tables_by.get(one.pipeline_id, ()) if one.environment is Environment.PRODUCTION else ()
        for one in deployments
    }


def approvers_of(view: View, deployment: Deployment) -> tuple[str, ...]:
    """Who approved the release, by name; of one that a rollback has put back, who approved it before."""
    promoted = deployment
    if deployment.reason == ROLLBACK:
        history = view.deployments.history(deployment.pipeline_id, deployment.environment)
        earlier = [one for one in history if one.id < deployment.id and one.version_id == deployment.version_id]
        promoted = next((one for one in reversed(earlier) if one.reason != ROLLBACK), deployment)
    if promoted.promotion_id is None:
        return ()
    decisions = view.promotions.decisions(promoted.promotion_id)
    return tuple(view.people.get(one.person).name for one in decisions if one.verdict is Verdict.APPROVE)


def _then(receipt: Receipt, wrote: Receipt | None, numbers: Mapping[int, int]) -> TableThen:
    return TableThen(
        table=receipt.table_name,
        snapshot=receipt.snapshot,
        since=receipt.at,
        version=wrote and numbers[wrote.version_id],
        run_id=wrote and wrote.run_id,
        request=receipt.promotion_id,
        inputs=wrote.details.inputs if wrote else (),
    )
