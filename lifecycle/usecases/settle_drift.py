"""Adopt or revert drift: a LeadDataEngineer takes a foreign write over, or undoes it (L15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.facts import SnapshotFacts
from lifecycle.domain.people import Actor
from lifecycle.domain.roles import Role
from lifecycle.domain.run import Drift
from lifecycle.domain.seal import Altered, SealedFiles
from lifecycle.domain.version import Pipeline
from lifecycle.errors import Conflict, Invalid, Refused
from lifecycle.ports import DataPlane
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, role_check, target_of
from lifecycle.usecases.parts.expected_head import Expected, expected_head
from lifecycle.usecases.parts.live_files import can_be_adopted, present_state
from lifecycle.usecases.parts.revert_drift import Command, chain_of, is_below, lease_check, revert, revert_checks

How = Literal["adopt", "revert"]


@dataclass(frozen=True, slots=True)
class Compaction:
    """A foreign write of nothing but `replace`; `base` holds the rows that it must hold, None if it has expired."""

    base: int | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What adopting or reverting a drift would do now, and what each would refuse.

    `expected` was published or adopted last: what a revert goes back to. `head` is where the ref is, `foreign` what
    was written since then, newest first; `is_older`: nothing, the ref was moved back. `compaction`: it only claims to
    have rewritten files, which adopting it compares first. `file`: what is wrong with the drifted file now, nothing
    where it is as published again or no longer needed.
    """

    drift: Drift
    pipeline: Pipeline
    expected: Expected | None
    head: int | None
    foreign: tuple[SnapshotFacts, ...]
    adopt: tuple[Check, ...]
    revert: tuple[Check, ...]
    is_older: bool = False
    compaction: Compaction | None = None
    file: str = ""


def plan_settlement(ctx: Context, actor: Actor, drift_id: int) -> Settlement:
    """What `settle_drift` would do; changes nothing."""
    with ctx.store.read() as view:
        drift = view.runs.drift(drift_id)
        pipeline = view.pipelines.get(drift.pipeline_id)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "looking at drift")
        adopt = settle_checks(ctx, view, actor, drift, pipeline, "adopt")
        may_revert = settle_checks(ctx, view, actor, drift, pipeline, "revert")
        expected = expected_head(view, drift.table_name, drift.environment)
    table, environment = drift.table_name, drift.environment
    head = ctx.plane.table(table, environment).head
    if drift.file is not None:
        _, altered = present_state(ctx, drift)
        adoptable, back = file_checks(drift, altered) if drift.state == "open" else ((), ())
        wrong = altered.what if altered else ""
        return Settlement(drift, pipeline, expected, head, (), (*adopt, *adoptable), (*may_revert, *back), file=wrong)
    chain = chain_of(ctx.plane, drift, expected)
    before = chain[1:]
    foreign: tuple[SnapshotFacts, ...] = ()
    is_older = drift.found in before and not is_below(drift, expected, chain)
    if drift.found not in before:
        since = ctx.plane.snapshots(table, environment, drift.found, expected.snapshot if expected else None)
        foreign = tuple(one for one in since if one.id not in before)
    back = revert_checks(drift, expected, head, chain) if drift.state == "open" else ()
    compaction = compaction_of(ctx.plane, drift, expected, foreign) if drift.state == "open" else None
    return Settlement(drift, pipeline, expected, head, foreign, adopt, (*may_revert, *back), is_older, compaction)


def compaction_of(
    plane: DataPlane, drift: Drift, expected: Expected | None, since: Sequence[SnapshotFacts]
) -> Compaction | None:
    """What the drift is, if everything written since what is expected calls itself `replace`."""
    if drift.found is None or not since or any(one.operation != "replace" for one in since):
        return None
    base = expected.snapshot if expected else None
    if base is None or since[-1].parent != base or not plane.snapshots(drift.table_name, drift.environment, base, None):
        return Compaction(None)
    return Compaction(base)


def file_checks(drift: Drift, altered: Altered | None) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
    """What adopting, and what reverting, the drift of a file asks for."""
    if altered is None:
        fine = f"{drift.file} is as it was published again, or production no longer needs it"
        return (Check(False, f"{fine}: revert the drift to close it"),), (Check(True, fine),)
    back = Check(False, f"{altered.what}: restore it from a backup, or roll back the data, then revert the drift")
    if can_be_adopted(altered):
        return (Check(True, f"{drift.file} can be read"),), (back,)
    return (Check(False, f"{altered.what}: a table that cannot be read cannot be adopted"),), (back,)


def settle_checks(
    ctx: Context, view: View, actor: Actor, drift: Drift, pipeline: Pipeline, how: How
) -> tuple[Check, ...]:
    """What settling a drift asks for, apart from a reason. A revert that has begun can only be resumed."""
    if drift.is_settled:
        state = Check(False, f"drift {drift.id} has already been settled; reload the page", Conflict)
    elif drift.state == "open":
        state = Check(True, f"drift {drift.id} is open")
    elif how == "adopt":
        waits = f": {drift.outcome}" if drift.outcome else ""
        state = Check(False, f"drift {drift.id} is being reverted{waits}; try again when that has finished", Conflict)
    else:
        state = lease_check(ctx, drift)
    return (role_check(view, actor, Role.LEAD, target_of(view, pipeline), "settling drift"), state)


def settle_drift(
    ctx: Context,
    actor: Actor,
    drift_id: int,
    how: How,
    *,
    reason: str,
    key: str | None = None,
) -> Drift:
    """`adopt`: the head counts as explained from now on. `revert`: back to what was published or adopted last.

    A compaction is adopted once its rows were compared, which may take minutes, and found to be the same. A file is
    adopted as it is now, and reverted when it is as it was published again.

    A revert that the catalog does not let end now is answered as `reverting`: `outcome` says what it waits for, and
    `reconcile` resumes it.
    """
    if not reason.strip():
        raise Invalid("adopting or reverting drift needs a reason")
    command = {"drift": drift_id, "how": how, "reason": reason}
    with ctx.store.read() as view:
        earlier = view.answered(actor, "settle_drift", key, command, Drift)
        if earlier is not None:
            return earlier
        drift = view.runs.drift(drift_id)
        refuse(settle_checks(ctx, view, actor, drift, view.pipelines.get(drift.pipeline_id), how))
        expected = expected_head(view, drift.table_name, drift.environment)
    given = Command(command, reason, key)
    if drift.file is not None:
        return _settle_file(ctx, actor, drift, how, given)
    if how == "revert":
        return revert(ctx, actor, drift, expected, given)
    compaction = _compared(ctx, drift, expected)
    said: dict[str, Any] = {}
    if compaction is not None:
        said["compared"] = "expired" if compaction.base is None else str(compaction.base)
    base = compaction.base if compaction else None
    return _close(ctx, actor, drift, "adopted", given, said, expected=expected, base=base)


def _compared(ctx: Context, drift: Drift, expected: Expected | None) -> Compaction | None:
    """Refuses a compaction that holds other rows than what it compacted. Reads data, outside any transaction."""
    since = ctx.plane.snapshots(
        drift.table_name, drift.environment, drift.found, expected.snapshot if expected else None
    )
    compaction = compaction_of(ctx.plane, drift, expected, since)
    if compaction is not None and compaction.base is not None and drift.found is not None:
        other = ctx.plane.differing(drift.table_name, drift.environment, compaction.base, drift.found)
        if other:
            raise Refused(
                f"{drift.table_name}: snapshot {drift.found} calls itself a compaction of {compaction.base} and holds "
                f"other rows: {'; '.join(other)}; revert the drift"
            )
    return compaction


def _settle_file(ctx: Context, actor: Actor, drift: Drift, how: How, given: Command) -> Drift:
    file, altered = present_state(ctx, drift)
    adopt, back = file_checks(drift, altered)
    refuse(adopt if how == "adopt" else back)
    if how == "revert":
        return _close(ctx, actor, drift, "reverted", given, {"file": drift.file})
    assert file is not None  # noqa: S101 (one of the checks)
    now = ctx.plane.sealed_now(drift.table_name, drift.environment, file)
    return _close(ctx, actor, drift, "adopted", given, {"file": drift.file, "seal": now.seal.root}, files=now)


def _close(
    ctx: Context,
    actor: Actor,
    drift: Drift,
    state: Literal["adopted", "reverted"],
    given: Command,
    said: dict[str, Any],
    *,
    expected: Expected | None = None,
    base: int | None = None,
    files: SealedFiles | None = None,
) -> Drift:
    how: How = "adopt" if state == "adopted" else "revert"
    with ctx.store.write(actor, "settle_drift", key=given.key, command=given.body) as unit:
        earlier = unit.earlier(Drift)
        if earlier is not None:
            return earlier
        current = unit.runs.drift(drift.id)
        pipeline = unit.pipelines.get(current.pipeline_id)
        refuse(settle_checks(ctx, unit, actor, current, pipeline, how))
        if base is not None and expected_head(unit, current.table_name, current.environment) != expected:
            raise Conflict(f"{current.table_name} was published while it was compared; review the drift again")
        more: dict[str, Any] = {} if base is None else {"expected": base}
        if files is not None:
            unit.seals.add(files)
            more = {"seal": files.seal.root}
        unit.runs.close_drift(current, state, given.reason, actor.person, **more)
        unit.audit(
            f"drift.{state}",
            f"pipeline:{pipeline.name}",
            drift=current.id,
            table=current.table_name,
            reason=given.reason,
            **said,
        )
        return unit.remember(unit.runs.drift(drift.id))
