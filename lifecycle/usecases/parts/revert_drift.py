"""Revert drift: a foreign write is undone through a journal, like a promotion, never inside a transaction (L15).

Begun, moved, finished: who is killed in between leaves the revert to `reconcile`, or to whoever asks again. It ends
as reverted, or, where the ref can no longer go back, as the open drift that it was.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.people import Actor
from lifecycle.domain.run import Drift
from lifecycle.errors import Conflict, LeaseLost, Refused, StoreError, is_refusal, one_line
from lifecycle.outages import is_outage, kind_of, told
from lifecycle.ports import DataPlane, Move, MoveResult
from lifecycle.store.unit import Unit
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.expected_head import Expected, expected_head
from lifecycle.usecases.parts.rounds import Round

_LOG = logging.getLogger(__name__)
_VERB = "settle_drift"


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody asked for, so that the same keyed command answers the same."""

    body: dict[str, Any]
    reason: str
    key: str | None


def revert_checks(drift: Drift, expected: Expected | None, head: int | None, chain: Sequence[int]) -> tuple[Check, ...]:
    """What reverting asks for besides: somewhere to go back to, and nothing written on top.

    `head` is where the ref is, `chain` the snapshot that is expected and what came before it; empty: it is gone.
    """
    table = drift.table_name
    if expected is None or expected.snapshot is None:
        return (Check(False, f"DRLS knows no snapshot to revert {table} to; adopt the drift instead"),)
    if drift.found is None:
        return (Check(False, f"{table} or its ref {drift.ref} no longer exists: restore it, or adopt the drift"),)
    if not chain:
        return (Check(False, f"{table} no longer has snapshot {expected.snapshot}; adopt the drift instead"),)
    if is_below(drift, expected, chain):
        why = f"{table} has since been published or adopted on top of it; adopt the drift, or roll back with the data"
        return (Check(False, why),)
    back = Check(True, f"{table} can return to snapshot {expected.snapshot}")
    if head == expected.snapshot:
        return (back, Check(True, f"{table} is already back there"))
    if head != drift.found:
        return (back, Check(False, f"{table} has been written again since; reconcile, then review it again"))
    return (back, Check(True, f"nothing has been written to {table} since"))


def chain_of(plane: DataPlane, drift: Drift, expected: Expected | None) -> tuple[int, ...]:
    """The snapshot that is expected and what came before it, newest first."""
    if expected is None or expected.snapshot is None:
        return ()
    return tuple(one.id for one in plane.snapshots(drift.table_name, drift.environment, expected.snapshot, None))


def is_below(drift: Drift, expected: Expected | None, chain: Sequence[int]) -> bool:
    """Whether what is expected was written on top of what was found; else what was found is only older."""
    since = expected.since if expected else None
    return drift.found in chain[1:] and since is not None and since > drift.found_at


def lease_check(ctx: Context, drift: Drift) -> Check:
    """Whether nobody reverts the drift right now."""
    if drift.state == "reverting" and drift.lease_until is not None and drift.lease_until > ctx.clock.now():
        return Check(False, f"drift {drift.id} is being reverted by {drift.executor}; wait until it finishes", Conflict)
    return Check(True, f"nobody else is reverting drift {drift.id}")


def revert(ctx: Context, actor: Actor, drift: Drift, expected: Expected | None, command: Command) -> Drift:
    """The drift, reverted; or still reverting, with what that waits for in `outcome`.

    Raises Refused, with nothing begun or everything as it was, when the ref cannot go back.
    """
    ctx = _as_executor(ctx)
    if drift.state == "open":
        head = ctx.plane.table(drift.table_name, drift.environment).head
        refuse(revert_checks(drift, expected, head, chain_of(ctx.plane, drift, expected)))
    with ctx.store.write(actor, _VERB, key=command.key, command=command.body) as unit:
        earlier = unit.earlier(Drift)
        if earlier is not None:
            return earlier
        current = unit.runs.drift(drift.id)
        refuse([lease_check(ctx, current)])
        if current.state != drift.state or expected_head(unit, drift.table_name, drift.environment) != expected:
            raise Conflict(f"{drift.table_name} was published, or its drift settled, in the meantime; review it again")
        taken = _take(ctx, unit, current, expected, command.reason)
    try:
        return _carry_on(ctx, actor, taken, command)
    except StoreError:
        raise
    except Exception as error:
        if is_refusal(error):
            raise
        log = _LOG.warning if is_outage(error) else _LOG.error
        log("reverting drift %s: %s", drift.id, told(error), exc_info=error)
        with ctx.store.read() as view:
            return view.runs.drift(drift.id)


def resume_reverts(ctx: Context, actor: Actor, work: Round) -> tuple[int, ...]:
    """Resumes reverts that were interrupted, each on its own; those that are done now."""
    with ctx.store.read() as view:
        begun = [one for one in view.runs.open_drifts() if one.state == "reverting"]
        names = {one.id: view.pipelines.get(one.pipeline_id).name for one in begun}
    done: list[int] = []
    for drift in begun:
        mine = _as_executor(ctx)
        if not lease_check(ctx, drift).ok:
            continue
        with work.item(f"drift:{drift.id}", "reverting it", names[drift.id]):
            with ctx.store.write(actor, _VERB) as unit:
                current = unit.runs.drift(drift.id)
                if current != drift:
                    continue  # somebody else has it, or it is settled
                taken = _take(mine, unit, current, None, current.reason)
            _carry_on(mine, actor, taken, Command({}, current.reason, None))
            done.append(drift.id)
    return tuple(done)


def _as_executor(ctx: Context) -> Context:
    # Two threads of one process exclude each other as two processes do.
    return replace(ctx, executor=f"{ctx.executor}/{secrets.token_hex(4)}")


def _take(ctx: Context, unit: Unit, drift: Drift, expected: Expected | None, reason: str) -> Drift:
    """Notes that this executor moves the ref back, and to where, before it does."""
    given: dict[str, Any] = {"executor": ctx.executor, "lease_until": unit.now + ctx.lease, "outcome": ""}
    if drift.state == "open":
        assert expected is not None  # noqa: S101 (one of the checks)
        given |= {"state": "reverting", "expected": expected.snapshot, "reason": reason, "closed_by": unit.actor.person}
    taken = unit.runs.set_revert(drift, **given)
    unit.audit(
        "drift.reverting",
        f"pipeline:{unit.pipelines.get(drift.pipeline_id).name}",
        drift=drift.id,
        table=drift.table_name,
        to=str(taken.expected),
        reason=taken.reason,
    )
    return taken


def _carry_on(ctx: Context, actor: Actor, drift: Drift, command: Command) -> Drift:
    """Moves the ref and notes it. What the catalog raises is noted, as what the revert waits for, and raised again."""
    try:
        refused = _move(ctx.plane, drift)
    except Exception as error:
        if not is_refusal(error):
            _let_go(ctx, actor, drift, f"{kind_of(error)}: {told(error)}"[:500], waits=told(error))
            raise
        refused = one_line(error)
    if refused:
        _let_go(ctx, actor, drift, refused)
        raise Refused(refused)
    with ctx.store.write(actor, _VERB, key=command.key, command=command.body) as unit:
        current = _held(unit, drift)
        unit.runs.close_drift(current, "reverted", current.reason, current.closed_by)
        unit.audit(
            "drift.reverted",
            f"pipeline:{unit.pipelines.get(drift.pipeline_id).name}",
            drift=drift.id,
            table=drift.table_name,
            reason=current.reason,
        )
        return unit.remember(unit.runs.drift(drift.id))


def _move(plane: DataPlane, drift: Drift) -> str:
    """Moves the ref, once; why it can no longer be moved, or nothing."""
    assert drift.expected is not None  # noqa: S101 (noted when it was taken)
    if plane.table(drift.table_name, drift.environment).head == drift.expected:
        return ""  # by this revert before it was interrupted, a newer drift's, or a rollback
    move = Move(
        table=drift.table_name,
        ref=drift.ref,
        base=drift.found,
        candidate=drift.expected,
        tag=f"drls-revert-{drift.id}",
    )
    if plane.move(move, drift.environment) is MoveResult.CONFLICT:
        return f"{drift.table_name} has been written again since; reconcile, then review it again"
    return ""


def _let_go(ctx: Context, actor: Actor, drift: Drift, why: str, *, waits: str = "") -> None:
    """Open again; or, where it is not known what the catalog did, for anybody to resume."""
    with ctx.store.write(actor, _VERB) as unit:
        current = _held(unit, drift)
        if waits:
            unit.runs.set_revert(current, lease_until=None, outcome=waits)
        else:
            unit.runs.set_revert(
                current, state="open", executor=None, lease_until=None, expected=None, reason="", closed_by=None
            )
        name = unit.pipelines.get(drift.pipeline_id).name
        unit.audit(
            "drift.revert_waits" if waits else "drift.not_reverted", f"pipeline:{name}", drift=drift.id, reason=why
        )


def _held(unit: Unit, drift: Drift) -> Drift:
    """The drift, if this executor still has it. Raises LeaseLost."""
    current = unit.runs.drift(drift.id)
    if current.state != "reverting" or current.executor != drift.executor:
        raise LeaseLost(f"drift {drift.id} is {current.state}: someone else has settled it; review it again")
    return current
