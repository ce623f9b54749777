"""Reconcile: closes permits and runs that ended without saying so, and finds drift (L11, L15, D10)."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.run import Drift, SessionState
from lifecycle.domain.version import Deployment
from lifecycle.ports import RunState
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.context import Context
from lifecycle.usecases.note_outcomes import note_outcomes
from lifecycle.usecases.parts.expected_head import expected_head
from lifecycle.usecases.parts.live_files import look_at_files, note_altered
from lifecycle.usecases.parts.outbox import tell
from lifecycle.usecases.parts.revert_drift import resume_reverts
from lifecycle.usecases.parts.rounds import Round, Trouble
from lifecycle.usecases.parts.trial_columns import remove_withdrawn
from lifecycle.usecases.settle_permits import settle_permits
from lifecycle.usecases.start_run import finish_admission

_LOOKS = 5


class Reconciled(Frozen):
    """What was found: runs that were over, new drift, and columns of withdrawn versions (`table.column`), removed.

    `troubles` are the permits, runs and tables that could not be handled.
    """

    runs: tuple[str, ...] = ()
    drifts: tuple[Drift, ...] = ()
    columns: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()


def reconcile(ctx: Context, actor: Actor, *, files: bool = True) -> Reconciled:
    """Safe to call at any time, by several at once; each permit, run and table is handled on its own.

    `files`: also looks at the files of production, which takes longer.
    """
    work = Round(ctx, actor, "runs")
    settle_permits(ctx, actor, work=work)
    runs = _end_runs(ctx, actor, work)
    note_outcomes(ctx, actor, work=work)
    tables = Round(ctx, actor, "drift")
    resume_reverts(ctx, actor, tables)
    drifts = _find_drift(ctx, actor, tables, files=files)
    columns = remove_withdrawn(ctx, actor, tables)
    return Reconciled(runs=runs, drifts=drifts, columns=columns, troubles=(*work.close(), *tables.close()))


def find_drift(ctx: Context, actor: Actor) -> Reconciled:
    """Only what the tables' heads say: it changes no table, ends no run and resumes nothing."""
    work = Round(ctx, actor, "drift")
    settle_permits(ctx, actor, work=work)
    drifts = _find_drift(ctx, actor, work, files=False)
    return Reconciled(drifts=drifts, troubles=work.close())


def _end_runs(ctx: Context, actor: Actor, work: Round) -> tuple[str, ...]:
    with ctx.store.read() as view:
        live = view.runs.live_admissions()
        young = {one.id for one in live if one.admitted_at + ctx.lease > view.now}
    over: list[str] = []
    for admission in live:
        with work.item(f"run:{admission.run_id}", "asking whether it still runs"):
            state = ctx.orchestrator.run_state(admission.run_id)
            # A run that was admitted a moment ago may not be known to the orchestrator yet.
            if state is RunState.ACTIVE or (state is RunState.UNKNOWN and admission.id in young):
                continue
            with ctx.store.write(actor, "reconcile") as unit:
                current = unit.runs.admission_by_id(admission.id)
                if current.state.is_live:
                    finish_admission(unit, current, f"the orchestrator says: {state.value}")
                    over.append(admission.run_id)
    return tuple(over)


def _find_drift(ctx: Context, actor: Actor, work: Round, *, files: bool) -> tuple[Drift, ...]:
    found: list[Drift] = []
    for environment in (Environment.QA, Environment.UAT, Environment.PRODUCTION):
        with ctx.store.read() as view:
            deployments = view.deployments.of(environment)
        for deployment in deployments:
            look = files and environment is Environment.PRODUCTION
            found.extend(_drift_of(ctx, actor, deployment, work, files=look))
    return tuple(found)


def _drift_of(ctx: Context, actor: Actor, deployment: Deployment, work: Round, *, files: bool) -> list[Drift]:
    with ctx.store.read() as view:
        name = view.pipelines.get(deployment.pipeline_id).name
        tables = view.pipelines.tables(deployment.version_id)
    found: list[Drift] = []
    for table in tables:
        with work.item(f"table:{table}", f"looking for drift in {deployment.environment.label}", name):
            drift = _look(ctx, actor, deployment, table)
            found += [drift] if drift is not None else []
            if files:
                found += _look_at_files(ctx, actor, deployment, table)
    return found


def _look_at_files(ctx: Context, actor: Actor, deployment: Deployment, table: str) -> list[Drift]:
    altered = look_at_files(ctx, deployment, table)
    if not altered:
        return []
    head = ctx.plane.table(table, deployment.environment).head
    with ctx.store.read() as view:
        drifts = view.runs.open_drifts(deployment.pipeline_id, deployment.environment)
        known = {one.file for one in drifts if one.table_name == table}
    new = [one for one in altered if one[0].name not in known]
    if not new:
        return []
    with ctx.store.write(actor, "reconcile") as unit:
        return note_altered(unit, deployment, table, head, new)


def _look(ctx: Context, actor: Actor, deployment: Deployment, table: str) -> Drift | None:
    """The drift of a table, noted; None without drift, or where it is known."""
    environment = deployment.environment
    with ctx.store.read() as view:
        answer = _answer(view, table, deployment)
    for _ in range(_LOOKS):
        head = ctx.plane.table(table, environment).head
        if not _is_drift(ctx, table, environment, head, answer):
            return None
        with ctx.store.write(actor, "reconcile") as unit:
            if _is_known(unit, deployment, table, head):
                return None
            # A run or a request may have published since: then the answer is another, and the catalog is asked
            # again, outside this transaction.
            now = _answer(unit, table, deployment)
            if now == answer:
                return _note(unit, deployment, table, head)
        answer = now
    return None  # so much is published there that the next round looks again


def _note(unit: Unit, deployment: Deployment, table: str, head: int | None) -> Drift:
    name, environment = unit.pipelines.get(deployment.pipeline_id).name, deployment.environment
    drift = unit.runs.add_drift(
        environment=environment.value,
        pipeline_id=deployment.pipeline_id,
        table_name=table,
        ref=environment.ref,
        expected=None,
        found=head,
    )
    unit.audit("drift.found", f"pipeline:{name}", table=table, ref=environment.ref, snapshot=str(head))
    tell(unit, "drift.found", name, table=table, environment=environment.value)
    return drift


def _is_known(view: View, deployment: Deployment, table: str, head: int | None) -> bool:
    drifts = view.runs.open_drifts(deployment.pipeline_id, deployment.environment)
    return any(drift.table_name == table and drift.found == head and drift.file is None for drift in drifts)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the store explains of one ref.

    `heads` are snapshots that it may have, none when DRLS has never written it. `moving` are those that a request
    which executes gives it. `newest` was published or adopted last; None: nothing, or nothing that has to stay.
    """

    heads: frozenset[int | None]
    moving: frozenset[int]
    newest: int | None


def _answer(view: View, table: str, deployment: Deployment) -> _Answer:
    environment = deployment.environment
    receipts = view.runs.receipts_on(table, environment)
    heads: set[int | None] = {receipt.snapshot for receipt in receipts} | {one.base for one in receipts}
    session = view.runs.newest_session(deployment.pipeline_id, environment, deployment.version_id)
    if session is not None and session.state is SessionState.OPEN:
        heads.add(session.bases.get(table))
    if not heads:
        return _Answer(frozenset(), frozenset(), None)
    heads.update(permit.candidate for permit in view.runs.permits_on(table, environment.ref, environment))
    heads.update(view.runs.rewrites(table, environment))
    heads.update(drift.found for drift in view.runs.adopted(table, environment.ref))
    expected = expected_head(view, table, environment)
    newest = expected.snapshot if expected else None
    # A session's branch begins anew, and evidence asks for every snapshot of it.
    return _Answer(frozenset(heads), _moving(view, table, deployment), None if environment.has_sessions else newest)


def _moving(view: View, table: str, deployment: Deployment) -> frozenset[int]:
    """Refs move first and receipts are written last: between the two the request explains them (L12)."""
    return frozenset(
        one.candidate
        for request in view.promotions.unfinished(deployment.pipeline_id)
        if request.target is deployment.environment and not request.state.is_open
        for one in request.plan.tables
        if one.table == table and one.candidate is not None
    )


def _is_drift(ctx: Context, table: str, environment: Environment, head: int | None, answer: _Answer) -> bool:
    """Whether `head` is unexplained: it was written outside DRLS, or no longer contains what was published."""
    if not answer.heads or head in answer.moving:
        return False
    if head is not None and environment.has_sessions and ctx.plane.is_on_main(table, head):
        return False  # what is on main is production's to explain; the branch may not even be there
    if head is None:
        return answer.newest is not None
    # A snapshot that calls itself `replace` may still hold other rows: maintenance has permits of its own.
    newest = answer.newest
    return head not in answer.heads or (newest not in (None, head) and not ctx.plane.is_on_main(table, newest))
