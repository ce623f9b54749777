"""What stood in production at a time: each table's snapshot, where it came from, and who approved the release."""

from __future__ import annotations

from datetime import datetime

from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import Verdict
from lifecycle.domain.releases import ROLLBACK, TableThen
from lifecycle.domain.run import Receipt
from lifecycle.domain.version import Deployment
from lifecycle.store.unit import View


def tables_then(view: View, deployment: Deployment, at: datetime | None = None) -> tuple[TableThen, ...]:
    """Every table that the pipeline writes, or was the last to write, by name; none outside of production.

    As the receipts have it: a publish counts from its receipt, some milliseconds behind its commit, and compaction,
    which changes no row, leaves the snapshot that it compacted.
    """
    if deployment.environment is not Environment.PRODUCTION:
        return ()
    at = at or view.now
    published = view.runs.published(deployment.pipeline_id, deployment.environment, at)
    found = {one.table_name: _then(view, one) for one in published}
    for drift in view.runs.adopted_by(deployment.pipeline_id, deployment.environment, at):
        before = found.get(drift.table_name)
        if before is None or before.since is None or (drift.closed_at is not None and drift.closed_at > before.since):
            found[drift.table_name] = TableThen(table=drift.table_name, snapshot=drift.found, since=drift.closed_at)
    for table in view.pipelines.tables(deployment.version_id):
        found.setdefault(table, TableThen(table=table))
    return tuple(found[table] for table in sorted(found))


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


def _then(view: View, receipt: Receipt) -> TableThen:
    wrote = receipt if receipt.permit_id is not None else view.runs.written_by(receipt.table_name, receipt.snapshot)
    return TableThen(
        table=receipt.table_name,
        snapshot=receipt.snapshot,
        since=receipt.at,
        version=wrote and view.pipelines.version(wrote.version_id).number,
        run_id=wrote and wrote.run_id,
        request=receipt.promotion_id,
        inputs=wrote.details.inputs if wrote else (),
    )
