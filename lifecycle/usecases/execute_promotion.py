"""Execute: compare the plan with the present, move the refs, switch the deployment (L12).

Interrupted anywhere, calling it again continues where it stopped; it ends in all or nothing.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import replace

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor, system_actor
from lifecycle.domain.promotion import Answered, Broken, Finished, Promotion, Started, State, Undone
from lifecycle.domain.readiness import Waiting
from lifecycle.domain.version import Label
from lifecycle.errors import Conflict, LeaseLost, StoreError, is_refusal
from lifecycle.outages import is_outage, told
from lifecycle.ports import ReleaseFacts
from lifecycle.store.unit import Unit
from lifecycle.usecases.compare_plan import compare_plan, waiting_of
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.activation import activate, require_no_execution
from lifecycle.usecases.parts.candidate_tags import unpin_candidates
from lifecycle.usecases.parts.counting import approvals, counted, needs_quorum, quorum_is_met, reopen
from lifecycle.usecases.parts.deciding import policy_of
from lifecycle.usecases.parts.following import follow, reload
from lifecycle.usecases.parts.outbox import tell
from lifecycle.usecases.parts.ref_moves import Moved, move_tables
from lifecycle.usecases.settle_permits import settle_permits

_LOG = logging.getLogger(__name__)


class Execution(Frozen):
    """The state of the request now; `waiting` says what an unfinished one waits for."""

    promotion: Promotion
    waiting: Waiting | None = None


def execute_promotion(ctx: Context, actor: Actor, promotion_id: int) -> Execution:
    """Executes or resumes a request, as far as it goes now.

    Safe to call at any time by anybody: what is not approved raises Conflict, what is not due answers
    with `waiting`. A catalog that cannot be reached leaves the request failed, to be resumed.
    """
    ctx, acting = as_executor(ctx, actor)
    with ctx.store.write(acting, "execute_promotion") as unit:
        begun = begin(ctx, unit, promotion_id)
    return go_on(ctx, acting, begun)


class Begun(Frozen):
    """A request that was taken, unless `execution` says otherwise; `permits`: runs may be publishing meanwhile."""

    execution: Execution
    permits: bool = False


def as_executor(ctx: Context, actor: Actor) -> tuple[Context, Actor]:
    """For one attempt at what `actor` wants executed: the name that it takes the request under, and who acts."""
    acting = system_actor(f"executor for {actor.name}", actor.way_in, actor.host, actor.os_user)
    # Two threads of one process exclude each other as two processes do.
    return replace(ctx, executor=f"{ctx.executor}/{secrets.token_hex(4)}"), acting


def begin(ctx: Context, unit: Unit, promotion_id: int) -> Begun:
    """Takes the request for `ctx.executor`. Raises Conflict, with nothing written, when it cannot be executed."""
    promotion = unit.promotions.get(promotion_id)
    if promotion.state is State.DONE:
        return Begun(execution=Execution(promotion=promotion))
    pipeline = unit.pipelines.get(promotion.pipeline_id)
    if _has_lapsed(unit, promotion):
        promotion, why = reopen(unit, promotion)
        return Begun(execution=Execution(promotion=promotion, waiting=Waiting(why=f"it needs approval again: {why}")))
    if promotion.state is State.APPROVED:
        waiting = _waits(unit, promotion)
        if waiting is not None:
            return Begun(execution=Execution(promotion=promotion, waiting=waiting))
    require_no_execution(unit, pipeline, promotion.plan.source, promotion.target, but=promotion_id)
    started = Started(executor=ctx.executor, lease_until=unit.now + ctx.lease, now=unit.now)
    promotion = unit.promotions.change(promotion, started)
    unit.audit("promotion.executing", f"promotion:{promotion_id}", executor=ctx.executor)
    # From here on no permit is granted: what is live now is all there is to wait for.
    permits = bool(
        unit.runs.live_permits(promotion.pipeline_id, promotion.target)
        or unit.runs.live_maintenance(promotion.pipeline_id, promotion.target)
    )
    return Begun(execution=Execution(promotion=promotion), permits=permits)


def _has_lapsed(unit: Unit, promotion: Promotion) -> bool:
    """Whether its approvals no longer fill the quorum; once refs began to move, it is finished or undone."""
    began = promotion.state in (State.APPROVED, State.EXECUTING, State.FAILED)
    if not began or not needs_quorum(promotion) or unit.promotions.journal(promotion.id):
        return False
    return not quorum_is_met(unit, promotion)


def go_on(ctx: Context, acting: Actor, begun: Begun) -> Execution:
    """Executes what was begun."""
    promotion = begun.execution.promotion
    if begun.execution.waiting is not None or promotion.state is not State.EXECUTING:
        return begun.execution
    try:
        waiting = settle_permits(ctx, acting, promotion.pipeline_id, promotion.target) if begun.permits else None
        if waiting is not None:
            return Execution(promotion=_wait(ctx, acting, promotion, waiting), waiting=waiting)
        outcome = compare_plan(ctx, promotion, thorough=True, alive=lambda: _hold(ctx, acting, promotion)).outcome
        moved = Moved(undone=True, outcome=outcome) if outcome else move_tables(ctx, acting, promotion)
    except (LeaseLost, StoreError):
        raise
    except Exception as error:  # noqa: BLE001 (whatever a catalog raises, the request must stay resumable)
        log = _LOG.warning if is_outage(error) else _LOG.error
        log("executing request %s failed: %s", promotion.id, told(error), exc_info=error)
        return Execution(promotion=_break(ctx, acting, promotion, told(error)))
    if moved.outcome:
        return Execution(promotion=_stop(ctx, acting, promotion, moved))
    done, release = _finish(ctx, acting, promotion)
    reload(ctx, promotion.target)
    follow(f"reporting request {done.id}", lambda: _report(ctx, done, release))
    follow(f"unpinning the candidates of request {done.id}", lambda: unpin_candidates(ctx, acting, done))
    return Execution(promotion=done)


def carry_on(ctx: Context, actor: Actor, promotion: Promotion) -> Answered:
    """Executes a request that was just recorded or approved, as far as it goes now.

    Never raises, for what is recorded is recorded: `waiting` says what is in the way, and `tick` tries again.
    """
    return answer(ctx, promotion, lambda: execute_promotion(ctx, actor, promotion.id))


def answer(ctx: Context, promotion: Promotion, execute: Callable[[], Execution]) -> Answered:
    """What `execute` brought; where it raised, the request as it is now and why."""
    try:
        done = execute()
    except Exception as error:  # noqa: BLE001 (whatever it is, the act before it was recorded)
        log = _LOG.info if is_refusal(error) else _LOG.warning if is_outage(error) else _LOG.error
        log("executing request %s: %s", promotion.id, told(error), exc_info=None if is_refusal(error) else error)
        return Answered.of(_now(ctx, promotion), told(error))
    return Answered.of(done.promotion, done.waiting.why if done.waiting else "")


def _now(ctx: Context, promotion: Promotion) -> Promotion:
    try:
        with ctx.store.read() as view:
            return view.promotions.get(promotion.id)
    except StoreError:
        return promotion


def _hold(ctx: Context, acting: Actor, promotion: Promotion) -> None:
    """Keeps the request while its files are read, which may take longer than the lease."""
    with ctx.store.write(acting, "execute_promotion") as unit:
        if not unit.promotions.renew(promotion, unit.now + ctx.lease):
            raise LeaseLost(f"request {promotion.id} is now executed by another process; this process stops")
        unit.audit("promotion.verifying", f"promotion:{promotion.id}", executor=ctx.executor)


def _wait(ctx: Context, acting: Actor, promotion: Promotion, waiting: Waiting) -> Promotion:
    """Still executing, so that no new permit is granted, but free for any executor to continue."""
    with ctx.store.write(acting, "execute_promotion") as unit:
        # Not "until now": the next executor's clock may be behind this clock (L8).
        unit.promotions.renew(promotion, None)
        unit.audit("promotion.waiting", f"promotion:{promotion.id}", reason=waiting.why)
        return unit.promotions.get(promotion.id)


def _waits(unit: Unit, promotion: Promotion) -> Waiting | None:
    if promotion.plan.kind == "break-glass":
        return None
    if promotion.expires_at <= unit.now:
        raise Conflict(f"request {promotion.id} expired; refresh it")
    return waiting_of(unit, promotion)


def _break(ctx: Context, acting: Actor, promotion: Promotion, outcome: str) -> Promotion:
    with ctx.store.write(acting, "execute_promotion") as unit:
        current = unit.promotions.get(promotion.id)
        broken = unit.promotions.change(current, Broken(executor=ctx.executor, outcome=outcome))
        before = unit.log.search(verb="promotion.failed", subject=f"promotion:{promotion.id}", limit=1)
        unit.audit("promotion.failed", f"promotion:{promotion.id}", reason=outcome)
        if not before or before[0].body.get("reason") != outcome:
            # `tick` tries again every few seconds: people hear of it once, and again when it fails otherwise.
            name = unit.pipelines.get(promotion.pipeline_id).name
            tell(unit, "promotion.failed", name, promotion=promotion.id, reason=outcome)
        return broken


def _stop(ctx: Context, acting: Actor, promotion: Promotion, moved: Moved) -> Promotion:
    if not moved.undone:
        return _break(ctx, acting, promotion, moved.outcome)
    with ctx.store.write(acting, "execute_promotion") as unit:
        current = unit.promotions.get(promotion.id)
        undone = Undone(executor=ctx.executor, state=State.STALE, outcome=moved.outcome, at=unit.now)
        stale = unit.promotions.change(current, undone)
        unit.audit("promotion.stale", f"promotion:{promotion.id}", reason=moved.outcome)
        name = unit.pipelines.get(promotion.pipeline_id).name
        tell(unit, "promotion.stale", name, promotion=promotion.id, reason=moved.outcome)
    follow(f"unpinning the candidates of request {stale.id}", lambda: unpin_candidates(ctx, acting, stale))
    return stale


def _finish(ctx: Context, acting: Actor, promotion: Promotion) -> tuple[Promotion, ReleaseFacts]:
    with ctx.store.write(acting, "execute_promotion") as unit:
        current = unit.promotions.get(promotion.id)
        done = unit.promotions.change(current, Finished(executor=ctx.executor, at=unit.now))
        pipeline = unit.pipelines.get(promotion.pipeline_id)
        version = unit.pipelines.version(promotion.version_id)
        rolled_back = unit.deployments.active(pipeline.id, promotion.target)
        active = activate(
            unit,
            pipeline,
            version,
            promotion.target,
            reason=promotion.plan.kind,
            label=_label(unit, promotion),
            promotion_id=promotion.id,
        )
        if promotion.plan.kind == "rollback" and rolled_back is not None:
            _ask_new_evidence(unit, pipeline.id, rolled_back.version_id)
        _write_receipts(unit, promotion)
        unit.audit("promotion.done", f"promotion:{promotion.id}", plan=promotion.plan_digest)
        tell(unit, "promotion.done", pipeline.name, promotion=promotion.id, target=promotion.target.value)
        return done, ReleaseFacts(
            version=version.number, digest=version.digest, label=active.label, promotion=active.promotion_id
        )


def _label(unit: Unit, promotion: Promotion) -> Label:
    """APPROVED only when independent people filled the quorum; a rollback takes over its release's label."""
    if not promotion.target.governed:
        return Label.FREE
    if promotion.plan.kind == "rollback":
        earlier = [
            one
            for one in unit.deployments.history(promotion.pipeline_id, promotion.target)
            if one.version_id == promotion.version_id
        ]
        return earlier[-1].label
    if promotion.plan.kind == "break-glass":
        return Label.UNREVIEWED
    quorum = policy_of(unit, promotion).parsed_quorum
    independent = counted(approvals(unit, promotion), own_work=False)
    return Label.APPROVED if quorum.met_by(independent) else Label.UNREVIEWED


def _ask_new_evidence(unit: Unit, pipeline_id: int, version_id: int) -> None:
    """What was rolled back needs a new UAT run before it can go to production again (L1)."""
    in_uat = unit.deployments.active(pipeline_id, Environment.UAT)
    if in_uat is not None and in_uat.version_id == version_id:
        unit.runs.add_session(Environment.UAT, pipeline_id, version_id)


def _write_receipts(unit: Unit, promotion: Promotion) -> None:
    run_id = f"promotion:{promotion.id}"
    for table in promotion.plan.tables:
        if table.candidate is None:
            continue
        unit.runs.add_receipt(
            permit_id=None,
            promotion_id=promotion.id,
            run_id=run_id,
            root_run_id=run_id,
            environment=promotion.target.value,
            pipeline_id=promotion.pipeline_id,
            version_id=promotion.version_id,
            session_id=None,
            step=table.table,
            partition="",
            table_name=table.table,
            ref=promotion.target.ref,
            base=table.base,
            snapshot=table.candidate,
            details={},
        )


def _report(ctx: Context, promotion: Promotion, release: ReleaseFacts) -> None:
    carried = {one.table: one.candidate for one in promotion.plan.tables if one.candidate is not None}
    if carried:
        ctx.orchestrator.released(promotion.target, promotion.plan.pipeline, carried, release)
