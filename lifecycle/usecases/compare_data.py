"""Compare data: what a request would change in a table, or what its evidence says about that."""

from __future__ import annotations

from enum import StrEnum

from lifecycle.domain.data_diff import DataDiff, Progress, Side
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.plan import Carry, Plan, TablePlan
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.roles import Role
from lifecycle.domain.run import Receipt
from lifecycle.domain.version import Version
from lifecycle.errors import NotFound
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.comparisons import Asked
from lifecycle.usecases.parts.row_keys import row_keys
from lifecycle.usecases.parts.specs import spec_of


class Meaning(StrEnum):
    """What a comparison says: RELEASE is exactly what goes live, EVIDENCE is what the version did elsewhere."""

    RELEASE = "release"
    EVIDENCE = "evidence"
    NOTHING = "nothing"


class DataComparison(Frozen):
    """A table of a request. While it is computed there is `progress`; then `diff`, or `failed` says why not.

    Nothing of the three: there is nothing to compare, `note` says why.
    """

    table: str
    meaning: Meaning
    note: str
    before: Side | None = None
    after: Side | None = None
    progress: Progress | None = None
    failed: str | None = None
    diff: DataDiff | None = None


def compare_data(ctx: Context, actor: Actor, promotion_id: int, table: str, *, again: bool = False) -> DataComparison:
    """What is known now; the first who asks begins the comparison, and `again` one that failed.

    Raises NotFound where the request has no such table, Forbidden for who may not see its pipeline.
    """
    with ctx.store.read() as view:
        promotion = view.promotions.get(promotion_id)
        pipeline = view.pipelines.get(promotion.pipeline_id)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "looking at data")
        version = view.pipelines.version(promotion.version_id)
        receipts = view.runs.receipts(ids=promotion.plan.receipts) if promotion.plan.receipts else ()
    planned = _planned(promotion, version, table)
    if promotion.plan.carry is Carry.SNAPSHOT and planned.candidate is not None:
        return _released(ctx, promotion.plan, planned, version, again)
    return _evidence(ctx, promotion.plan, planned, version, receipts, again)


def _planned(promotion: Promotion, version: Version, table: str) -> TablePlan:
    for planned in promotion.plan.tables:
        if planned.table == table:
            return planned
    if any(sink.table == table for sink in spec_of(version).sinks):
        # A release of code alone may name no tables.
        return TablePlan(table=table)
    raise NotFound(f"request {promotion.id} has no table {table}")


def _released(ctx: Context, plan: Plan, planned: TablePlan, version: Version, again: bool) -> DataComparison:
    before = Side(environment=plan.target, snapshot=planned.base)
    after = Side(environment=plan.source, snapshot=planned.candidate)
    if plan.kind == "rollback":
        note = "What the rollback changes in the data: from what production had to what it returns to."
    elif planned.base is None:
        note = f"Exactly what goes live: the table is new in {plan.target.label}, so every row is added."
    else:
        note = (
            f"Exactly what goes live: compares what {plan.target.label} had at the time of the request with "
            "the candidate."
        )
    return _asked(ctx, Meaning.RELEASE, note, planned, before, after, version, again)


def _evidence(
    ctx: Context, plan: Plan, planned: TablePlan, version: Version, receipts: tuple[Receipt, ...], again: bool
) -> DataComparison:
    written = [receipt for receipt in receipts if receipt.table_name == planned.table]
    if not written:
        why = {
            "promote": "No run in the plan wrote this table, so there is no data to compare.",
            "rollback": "Only the code is rolled back; published data stays, so no data changes.",
            "break-glass": "The version is deployed without evidence, so there is no data to compare.",
        }[plan.kind]
        return DataComparison(table=planned.table, meaning=Meaning.NOTHING, note=why)
    newest = max(written, key=lambda receipt: receipt.id)
    before = Side(environment=plan.target, snapshot=ctx.plane.table(planned.table, plan.target).head)
    after = Side(environment=plan.source, snapshot=newest.snapshot)
    note = (
        f"This is evidence, not what goes live: only the code is promoted to {plan.target.label}, and its "
        f"next run there writes the data. It compares what {plan.target.label} has now with what the version "
        f"wrote in {plan.source.label}."
    )
    return _asked(ctx, Meaning.EVIDENCE, note, planned, before, after, version, again)


def _asked(
    ctx: Context,
    meaning: Meaning,
    note: str,
    planned: TablePlan,
    before: Side,
    after: Side,
    version: Version,
    again: bool,
) -> DataComparison:
    asked = Asked(
        table=planned.table,
        table_uuid=planned.table_uuid,
        before=before,
        after=after,
        keys=row_keys(spec_of(version), planned.table),
    )
    now = ctx.comparisons.ask(ctx.plane, asked, again=again)
    return DataComparison(
        table=planned.table,
        meaning=meaning,
        note=note,
        before=before,
        after=after,
        progress=now.progress,
        failed=now.failed,
        diff=now.diff,
    )
