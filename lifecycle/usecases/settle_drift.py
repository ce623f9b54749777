"""Adopt or revert drift: a LeadDataEngineer takes a foreign write over, or undoes it (L15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.environment import Role
from lifecycle.domain.people import Actor
from lifecycle.domain.run import Drift
from lifecycle.domain.version import Pipeline
from lifecycle.errors import Conflict, Invalid, Refused
from lifecycle.ports import DataPlane, Move, MoveResult, SnapshotFacts
from lifecycle.store.unit import View
from lifecycle.usecases.access import require, role_check, target_of
from lifecycle.usecases.context import Context
from lifecycle.usecases.expected_head import Expected, expected_head

How = Literal["adopt", "revert"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What adopting or reverting a drift would do now, and what each would refuse.

    `expected` was published or adopted last: what a revert goes back to. `head` is where the ref is, `foreign` what
    was written since then, newest first; `is_older`: nothing, the ref was moved back.
    """

    drift: Drift
    pipeline: Pipeline
    expected: Expected | None
    head: int | None
    foreign: tuple[SnapshotFacts, ...]
    adopt: tuple[Check, ...]
    revert: tuple[Check, ...]
    is_older: bool = False


def plan_settlement(ctx: Context, actor: Actor, drift_id: int) -> Settlement:
    """What `settle_drift` would do; changes nothing."""
    with ctx.store.read() as view:
        drift = view.runs.drift(drift_id)
        pipeline = view.pipelines.get(drift.pipeline_id)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "looking at drift")
        adopt = adopt_checks(view, actor, drift, pipeline)
        expected = expected_head(view, drift.table_name, drift.environment)
    table, environment = drift.table_name, drift.environment
    head = ctx.plane.table(table, environment).head
    chain = _chain(ctx.plane, drift, expected)
    before = chain[1:]
    foreign: tuple[SnapshotFacts, ...] = ()
    is_older = drift.found in before and not _is_below(drift, expected, chain)
    if drift.found not in before:
        since = ctx.plane.snapshots(table, environment, drift.found, expected.snapshot if expected else None)
        foreign = tuple(one for one in since if one.id not in before)
    revert = (*adopt, *revert_checks(drift, expected, head, chain))
    return Settlement(drift, pipeline, expected, head, foreign, adopt, revert, is_older)


def adopt_checks(view: View, actor: Actor, drift: Drift, pipeline: Pipeline) -> tuple[Check, ...]:
    """What settling a drift asks for, whichever way and apart from a reason."""
    return (
        role_check(view, actor, Role.LEAD, target_of(view, pipeline), "settling drift"),
        Check(True, f"drift {drift.id} is open")
        if drift.state == "open"
        else Check(False, f"drift {drift.id} was settled already; look again", Conflict),
    )


def revert_checks(drift: Drift, expected: Expected | None, head: int | None, chain: Sequence[int]) -> tuple[Check, ...]:
    """What reverting asks for besides: somewhere to go back to, and nothing written on top.

    `head` is where the ref is, `chain` the snapshot that is expected and what came before it; empty: it is gone.
    """
    table = drift.table_name
    if expected is None or expected.snapshot is None:
        return (Check(False, f"{table} has no snapshot that DRLS knows to go back to; adopt the drift instead"),)
    if drift.found is None:
        return (Check(False, f"{table} is gone, or its ref {drift.ref} is: put it back, or adopt the drift"),)
    if not chain:
        return (Check(False, f"{table} has no snapshot {expected.snapshot} any more; adopt the drift instead"),)
    if _is_below(drift, expected, chain):
        why = f"{table} was published or adopted on top of it since; adopt the drift, or roll back with the data"
        return (Check(False, why),)
    back = Check(True, f"{table} can go back to snapshot {expected.snapshot}")
    if head == expected.snapshot:
        return (back, Check(True, f"{table} is back there already"))
    if head != drift.found:
        return (back, Check(False, f"{table} was written again since; reconcile, then look again"))
    return (back, Check(True, f"nothing was written to {table} since"))


def settle_drift(
    ctx: Context,
    actor: Actor,
    drift_id: int,
    how: How,
    *,
    reason: str,
    key: str | None = None,
) -> Drift:
    """`adopt`: the head counts as explained from now on. `revert`: back to what was published or adopted last."""
    if not reason.strip():
        raise Invalid("adopting or reverting drift needs a reason")
    command = {"drift": drift_id, "how": how, "reason": reason}
    with ctx.store.write(actor, "settle_drift", key=key, command=command) as unit:
        earlier = unit.earlier(Drift)
        if earlier is not None:
            return earlier
        drift = unit.runs.drift(drift_id)
        pipeline = unit.pipelines.get(drift.pipeline_id)
        refuse(adopt_checks(unit, actor, drift, pipeline))
        if how == "revert":
            # Inside: whoever adopts meanwhile waits, and finds it settled. Killed after the move, a revert goes on.
            _revert(ctx, drift, expected_head(unit, drift.table_name, drift.environment))
        state = "adopted" if how == "adopt" else "reverted"
        unit.runs.close_drift(drift, state, reason, actor.person)
        unit.audit(
            f"drift.{state}",
            f"pipeline:{pipeline.name}",
            drift=drift.id,
            table=drift.table_name,
            reason=reason,
        )
        return unit.remember(unit.runs.drift(drift_id))


def _chain(plane: DataPlane, drift: Drift, expected: Expected | None) -> tuple[int, ...]:
    """The snapshot that is expected and what came before it, newest first."""
    if expected is None or expected.snapshot is None:
        return ()
    return tuple(one.id for one in plane.snapshots(drift.table_name, drift.environment, expected.snapshot, None))


def _is_below(drift: Drift, expected: Expected | None, chain: Sequence[int]) -> bool:
    """Whether what is expected was written on top of what was found; else what was found is only older."""
    since = expected.since if expected else None
    return drift.found in chain[1:] and since is not None and since > drift.found_at


def _revert(ctx: Context, drift: Drift, expected: Expected | None) -> None:
    head = ctx.plane.table(drift.table_name, drift.environment).head
    refuse(revert_checks(drift, expected, head, _chain(ctx.plane, drift, expected)))
    assert expected is not None  # noqa: S101 (one of the checks)
    assert expected.snapshot is not None  # noqa: S101 (one of the checks)
    assert drift.found is not None  # noqa: S101 (one of the checks)
    if head == expected.snapshot:
        return  # by a revert that was interrupted, a newer drift's, or a rollback
    move = Move(
        table=drift.table_name,
        ref=drift.ref,
        base=drift.found,
        candidate=expected.snapshot,
        tag=f"drls-revert-{drift.id}",
    )
    if ctx.plane.move(move, drift.environment) is MoveResult.CONFLICT:
        raise Refused(f"{drift.table_name} was written again since; reconcile, then look again")
