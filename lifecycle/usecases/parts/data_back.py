"""The data of a rollback: where each table goes back to, what that undoes, and whether it is still there (L13)."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.domain.checklist import Check
from lifecycle.domain.environment import Environment
from lifecycle.domain.evidence import answering
from lifecycle.domain.model import Frozen, SnapshotId
from lifecycle.domain.plan import TablePlan
from lifecycle.domain.run import Receipt
from lifecycle.domain.version import Deployment
from lifecycle.ports import DataPlane
from lifecycle.store.unit import View


class UndonePublish(Frozen):
    """A snapshot that goes away: by which run and for which partition, or (no run) written by others."""

    table: str
    snapshot: SnapshotId
    run_id: str | None = None
    partition: str = ""


# By table: everything that was published to it since the release that returns.
Written = tuple[tuple[str, tuple[Receipt, ...]], ...]


def written_since(view: View, history: Sequence[Deployment]) -> Written:
    """What was published since the release that returns, the first of `history`, ended.

    Not since the active release began: that may be a rollback itself, which found what later releases had left.
    """
    returns, *since = history
    found: list[tuple[str, tuple[Receipt, ...]]] = []
    for name in dict.fromkeys(name for one in reversed(since) for name in view.pipelines.tables(one.version_id)):
        receipts = view.runs.receipts_on(name, Environment.PRODUCTION)
        written = tuple(one for one in receipts if returns.ended_at is not None and one.at >= returns.ended_at)
        # A table that a later release no longer wrote may be another pipeline's by now.
        if written and written[0].base is not None and written[-1].pipeline_id == returns.pipeline_id:
            found.append((name, written))
    return tuple(found)


def tables_back(plane: DataPlane, written: Written) -> tuple[tuple[TablePlan, ...], tuple[UndonePublish, ...]]:
    """Per table: back to the base of the first of these publishes, and what that undoes."""
    tables: list[TablePlan] = []
    undone: list[UndonePublish] = []
    for name, receipts in written:
        facts = plane.table(name, Environment.PRODUCTION)
        # A rollback's receipt names a snapshot again that a run had published.
        by_snapshot = {receipt.snapshot: receipt for receipt in reversed(receipts)}
        chain = [one.id for one in plane.snapshots(name, Environment.PRODUCTION, facts.head, receipts[0].base)]
        for snapshot, receipt in zip(chain, answering(chain, [by_snapshot.get(one) for one in chain]), strict=True):
            undone.append(
                UndonePublish(
                    table=name,
                    snapshot=snapshot,
                    run_id=receipt and receipt.run_id,
                    partition=receipt.partition if receipt else "",
                )
            )
        tables.append(TablePlan(table=name, table_uuid=facts.uuid, base=facts.head, candidate=receipts[0].base))
    return tuple(tables), tuple(undone)


def snapshot_checks(plane: DataPlane, tables: Sequence[TablePlan]) -> tuple[Check, ...]:
    """Whether what these tables would go back to is still there; nothing of a rollback of code alone."""
    wanted = [(one.table, one.candidate) for one in tables if one.candidate is not None]
    gone = [
        f"{table} no longer has snapshot {snapshot}"
        for table, snapshot in wanted
        if not plane.snapshots(table, Environment.PRODUCTION, snapshot, None)
    ]
    if gone:
        return (Check(False, f"{'; '.join(gone)}: roll back only the code, then repair the data with a run"),)
    return (Check(True, "every table still has the snapshot it returns to"),) if wanted else ()
