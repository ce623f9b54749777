"""Moving the refs of a promotion, table by table, through a journal (L12)."""

from __future__ import annotations

from collections.abc import Mapping

from lifecycle.domain.facts import only_rewritten
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.plan import TablePlan
from lifecycle.domain.promotion import Promotion
from lifecycle.errors import LeaseLost
from lifecycle.ports import Move, MoveResult
from lifecycle.usecases.context import Context

_TRIES = 4  # maintenance may move a ref between two looks


class Moved(Frozen):
    """`outcome` is empty when every ref moved; else why not, and whether all is as before (`undone`)."""

    undone: bool = False
    outcome: str = ""


def move_tables(ctx: Context, acting: Actor, promotion: Promotion) -> Moved:
    """Moves every carried table, or undoes what moved. Each step is safe to repeat."""
    tables = [table for table in promotion.plan.tables if table.candidate is not None]
    if not tables:
        return Moved()
    with ctx.store.read() as view:
        earlier = view.promotions.moves_from(promotion.id)
    bases = {table.table: earlier.get(table.table, table.base) for table in tables}
    _note(ctx, acting, promotion, list(bases), "intended", bases)
    done: list[Move] = []
    for table in tables:
        move = _moved(ctx, acting, promotion, table, bases[table.table])
        if move is None:
            return _undo(ctx, acting, promotion, done, table.table)
        done.append(move)
        _note(ctx, acting, promotion, [table.table], "moved")
    return Moved()


def _moved(ctx: Context, acting: Actor, promotion: Promotion, table: TablePlan, base: int | None) -> Move | None:
    """The move that was made, now or by an earlier try; None on a conflict.

    `base` is in the journal before the ref moves, and so is another head that maintenance has made of it meanwhile:
    undoing goes back to just that, also after a resume, when the catalog only says where the ref has come to.
    """
    for _ in range(_TRIES):
        move = _move(promotion, table, base)
        if ctx.plane.move(move, promotion.target) is not MoveResult.CONFLICT:
            return move
        present = _present_base(ctx, promotion, table)
        if present == base:
            return None
        base = present
        _note(ctx, acting, promotion, [table.table], "intended", {table.table: base})
    return None


def _move(promotion: Promotion, table: TablePlan, base: int | None) -> Move:
    assert table.candidate is not None  # noqa: S101 (chosen by the caller)
    return Move(
        table=table.table,
        ref=promotion.target.ref,
        base=base,
        candidate=table.candidate,
        tag=f"drls-release-{promotion.id}",
        metadata_changes=table.metadata_changes,
    )


def _present_base(ctx: Context, promotion: Promotion, table: TablePlan) -> int | None:
    """The approved base, or the head that maintenance alone has made of it (L3)."""
    head = ctx.plane.table(table.table, promotion.target).head
    if head is None or head in (table.base, table.candidate):
        return table.base
    with ctx.store.read() as view:
        rewrites = view.runs.rewrites(table.table, promotion.target)
    return head if table.base is not None and only_rewritten(head, table.base, rewrites) else table.base


def _undo(ctx: Context, acting: Actor, promotion: Promotion, done: list[Move], lost: str) -> Moved:
    for move in reversed(done):
        if not ctx.plane.undo(move, promotion.target):
            return Moved(
                outcome=(
                    f"{lost} moved in the meantime, and {move.table} was written on top of it: repair it, then resume"
                )
            )
        _note(ctx, acting, promotion, [move.table], "undone")
    return Moved(undone=True, outcome=f"tables[{lost}].base: it moved while the promotion executed")


def _note(
    ctx: Context,
    acting: Actor,
    promotion: Promotion,
    tables: list[str],
    state: str,
    bases: Mapping[str, int | None] | None = None,
) -> None:
    with ctx.store.write(acting, "execute_promotion") as unit:
        current = unit.promotions.get(promotion.id)
        held = current.model_copy(update={"executor": ctx.executor})
        if not unit.promotions.renew(held, unit.now + ctx.lease):
            raise LeaseLost(f"request {promotion.id} is now executed by {current.executor}; this process stops")
        unit.promotions.write_journal(promotion.id, tables, state, bases or {})
        unit.audit("promotion.journal", f"promotion:{promotion.id}", tables=tables, state=state)
