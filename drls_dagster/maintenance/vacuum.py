"""Vacuum: everything that keeps a table tidy, each part where it is needed, in the order in which one helps the next.

Compaction leaves manifests to merge; both leave snapshots that hold the files from before; expiry lets go of those.
Orphans come last, since a part that failed halfway may have left some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.lakehouse import refs
from drls_dagster.maintenance.keep import keep_now
from drls_dagster.maintenance.kinds import kind_of
from drls_dagster.maintenance.work import Keep, Work
from lifecycle.domain.operations import (
    OperationKind,
    OperationPlan,
    Options,
    Result,
    VacuumOptions,
    VacuumResult,
    plan_digest,
)

if TYPE_CHECKING:
    from pyiceberg.table import Table

# As the options and the result name them.
_PARTS = {
    "compact": OperationKind.COMPACT,
    "manifests": OperationKind.MANIFESTS,
    "expire": OperationKind.EXPIRE,
    "orphans": OperationKind.ORPHANS,
}


def plan(table: Table, ref: str, options: VacuumOptions, keep: Keep) -> OperationPlan:
    """What each part would do now; a part that runs later may find more, once the parts before it are done."""
    plans = [(name, kind_of(kind).plan(table, ref, _options(options, name), keep)) for name, kind in _PARTS.items()]
    figures = {f"{name}_{figure}": number for name, one in plans for figure, number in one.figures.items()}
    return OperationPlan(
        kind=OperationKind.VACUUM,
        table=".".join(table.name()),
        ref=ref,
        base=refs.head(table, ref),
        needed=any(one.needed for _, one in plans),
        reasons=tuple(f"{name}: {reason}" for name, one in plans for reason in one.reasons),
        figures=figures,
        cost="; ".join(f"{name}: {one.cost}" for name, one in plans if one.needed) or "nothing to do",
        digest=plan_digest(
            OperationKind.VACUUM, str(table.metadata.table_uuid), ref, refs.head(table, ref), options, figures
        ),
    )


def execute(work: Work, options: VacuumOptions) -> VacuumResult:
    """Each part plans anew, on what the part before it left. A part also completes what a killed one began."""
    done: dict[str, Result] = {}
    for name, kind in _PARTS.items():
        part, mine = kind_of(kind), _options(options, name)
        work.table = work.catalog.load_table(work.table.name())
        planned = part.plan(work.table, work.ref, mine, keep_now(work, work.table))
        result = part.execute(work, mine)
        if planned.needed:
            done[name] = result
    return VacuumResult.model_validate(done)


def _options(options: VacuumOptions, name: str) -> Options:
    return getattr(options, name)
