"""Operations on tables as the pages name and show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drls_dagster.maintenance.words import result_in_words
from drls_dagster.web.tables import links
from lifecycle.app.kit.guard import Visitor
from lifecycle.app.kit.words import count, size
from lifecycle.domain.operations import Operation, OperationKind, OperationState
from lifecycle.domain.people import Actor
from lifecycle.domain.tables import TableAt
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.operate_table import list_operations
from lifecycle.usecases.parts.table_users import lead_checks, table_users

NAMES: Mapping[OperationKind, str] = {
    OperationKind.COMPACT: "Compact",
    OperationKind.MANIFESTS: "Rewrite manifests",
    OperationKind.EXPIRE: "Expire snapshots",
    OperationKind.ORPHANS: "Remove orphan files",
    OperationKind.VACUUM: "Vacuum",
}
SAYS: Mapping[OperationKind, str] = {
    OperationKind.COMPACT: "Rewrites small files and files with deletes into fewer, larger ones. Rows stay the same.",
    OperationKind.MANIFESTS: "Rewrites manifests, so that planning a read opens fewer of them.",
    OperationKind.EXPIRE: "Removes old snapshots and the files that only they need. Releases, evidence and readers "
    "keep what they need.",
    OperationKind.ORPHANS: "Lists files in the table's folder that no metadata names, and removes them if you say so.",
    OperationKind.VACUUM: "Compacts, rewrites manifests, expires and lists orphans, each where it is needed.",
}
_LOOKS: Mapping[OperationState, str] = {
    OperationState.QUEUED: "pending",
    OperationState.RUNNING: "running",
    OperationState.DONE: "approved",
    OperationState.FAILED: "rejected",
    OperationState.CANCELLED: "draft",
}


@dataclass(frozen=True, slots=True)
class OperationRow:
    """An operation in words; `hundredths` None: it has not said how far it is."""

    operation: Operation
    name: str
    url: str
    table_url: str
    look: str
    word: str
    hundredths: int | None
    figures: tuple[tuple[str, str], ...]
    said: str


def doable(ctx: Context) -> Sequence[OperationKind]:
    """What this installation can do, in the order of the buttons."""
    known = ctx.maintenance.kinds()
    return [kind for kind in OperationKind if kind in known]


def may_operate(view: View, actor: Actor, table: str) -> tuple[str, ...]:
    """Why the actor may not; empty for who may."""
    return tuple(
        one.text for one in lead_checks(view, actor, table_users(view, table), "maintaining a table") if not one.ok
    )


def operation_rows(
    ctx: Context, who: Visitor, *, table: str | None = None, before: int | None = None, limit: int
) -> list[OperationRow]:
    """Newest first, of tables that the visitor may see."""
    at = None if table is None else TableAt(name=table)
    found, _ = list_operations(ctx, who.actor, table=at, states=(), before=before, limit=limit)
    return [operation_row(one) for one in found]


def operation_row(one: Operation) -> OperationRow:
    progress = one.progress
    known = progress is not None and progress.total > 0
    return OperationRow(
        operation=one,
        name=NAMES[one.kind],
        url=f"{links.OPERATIONS}/{one.id}",
        table_url=links.table(one.table, "health"),
        look=_LOOKS[one.state],
        word="cancelling" if one.cancelling and not one.state.is_over else one.state.value,
        hundredths=min(100 * progress.done // progress.total, 100) if progress is not None and known else None,
        figures=figures(one.result.model_dump(exclude={"files"})) if one.result is not None else (),
        said=result_in_words(one.result, size) if one.result is not None else "",
    )


def figures(result: Mapping[str, Any], above: str = "") -> tuple[tuple[str, str], ...]:
    """What an operation did or would do, as words and numbers; of a vacuum, part by part."""
    found: list[tuple[str, str]] = []
    for name, value in result.items():
        word = f"{above}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            found += figures({str(key): one for key, one in value.items()}, f"{word}: ")  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        elif isinstance(value, bool):
            found.append((word, "yes" if value else "no"))
        elif isinstance(value, int):
            found.append((word, size(value) if "bytes" in name else str(value) if name == "snapshot" else count(value)))
    return tuple(found)
