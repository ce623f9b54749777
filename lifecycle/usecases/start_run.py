"""Start and finish: one run at a time per pipeline and environment, version after version (L10, D9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.environment import Environment
from lifecycle.domain.facts import TableFacts
from lifecycle.domain.fence import FenceFinder
from lifecycle.domain.gate import Action
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.roles import Role
from lifecycle.domain.run import Admission, AdmissionState, Session, SessionState
from lifecycle.domain.version import Pipeline
from lifecycle.errors import Conflict, Refused
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.context import Context
from lifecycle.usecases.may import ask
from lifecycle.usecases.parts.access import require, role_check, target_of
from lifecycle.usecases.parts.fencing import unfenced_run


class Start(Frozen):
    """`waits_for` names the run that goes first; empty when the run may begin."""

    admission: Admission
    waits_for: str = ""


def start_run(ctx: Context, actor: Actor, run_id: str, name: str) -> Start:
    """Lets an admitted run begin, or says what it waits for; beginning twice is beginning once.

    The first run of a version in QA or UAT opens its evidence session: branches fresh off main. It has the turn
    before it does so, and no branch is put back that anybody has written since it looked: one session is opened once.
    Raises Refused with the reason when the run was revoked or never admitted, Conflict when it should ask again.
    """
    with ctx.store.read() as view:
        admission = _admitted(view, run_id, name, ctx.fence)
        first = _next_in_line(view, admission)
        session = _session_of(view, admission)
        tables = view.pipelines.tables(admission.version_id)
    if first.run_id != run_id:
        return Start(admission=admission, waits_for=first.run_id)
    if admission.has_begun:
        return Start(admission=admission)
    pending = session is not None and session.state is SessionState.PENDING
    seen = {table: ctx.plane.table(table, admission.environment) for table in tables} if pending else {}
    with ctx.store.write(actor, "start_run") as unit:
        admission = _admitted(unit, run_id, name, ctx.fence)
        if admission.has_begun:
            return Start(admission=admission)
        if _next_in_line(unit, admission).run_id != run_id or _session_of(unit, admission) != session:
            raise Conflict(f"run {run_id} of {name} is no longer next in line; try again")
        key = session.id if session and not pending else None
        if admission.state is AdmissionState.QUEUED or key:
            admission = unit.runs.set_admission(admission, AdmissionState.RUNNING, session_id=key)
            unit.audit("admission.started", f"run:{run_id}", pipeline=name)
    if session is None or not pending:
        return Start(admission=admission)
    try:
        return _open_session(ctx, actor, admission, session, name, seen)
    except BaseException:
        _give_turn_back(ctx, actor, admission, name)
        raise


def _open_session(
    ctx: Context, actor: Actor, admission: Admission, session: Session, name: str, seen: Mapping[str, TableFacts]
) -> Start:
    bases = dict(ctx.plane.open_session(admission.environment, list(seen), seen))
    with ctx.store.write(actor, "start_run") as unit:
        current = _admitted(unit, admission.run_id, name, ctx.fence)
        if current.has_begun:
            return Start(admission=current)  # another process of this run was quicker
        if current.state is not AdmissionState.RUNNING:
            raise Conflict(f"run {admission.run_id} of {name} lost its turn; try again")
        unit.runs.open_session(session, bases)
        unit.audit(
            "session.opened",
            f"session:{session.id}",
            pipeline=name,
            environment=session.environment.value,
        )
        return Start(admission=unit.runs.set_admission(current, AdmissionState.RUNNING, session_id=session.id))


def _give_turn_back(ctx: Context, actor: Actor, admission: Admission, name: str) -> None:
    """The session was not opened: whoever is next may try."""
    with ctx.store.write(actor, "start_run") as unit:
        current = unit.runs.admission(admission.run_id, admission.pipeline_id)
        if current is not None and current.state is AdmissionState.RUNNING and not current.has_begun:
            unit.runs.set_admission(current, AdmissionState.QUEUED)
            unit.audit("admission.given_back", f"run:{admission.run_id}", pipeline=name)


def finish_run(ctx: Context, actor: Actor, run_id: str, name: str, *, why: str = "") -> None:
    """Says that a run is over, however it ended; the next in line may begin. Safe to repeat."""
    with ctx.store.write(actor, "finish_run") as unit:
        admission = unit.runs.admission(run_id, unit.pipelines.named(name).id)
        if admission is not None and admission.state.is_live:
            finish_admission(unit, admission, why)


def finish_admission(unit: Unit, admission: Admission, why: str) -> None:
    """Live → finished."""
    unit.runs.set_admission(admission, AdmissionState.FINISHED, why)
    unit.audit("admission.finished", f"run:{admission.run_id}", reason=why)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a new evidence session would do now.

    `session` is the newest one of what is active there, `receipts` how much it has to show, `pinned` the open
    requests that keep what it has shown.
    """

    checks: tuple[Check, ...]
    session: Session | None
    receipts: int
    pinned: tuple[Promotion, ...]


def plan_session(ctx: Context, actor: Actor, name: str, environment: Environment) -> Renewal:
    """What `new_session` would do, and what it would refuse; changes nothing."""
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "looking at evidence")
        active = view.deployments.active(pipeline.id, environment)
        session = view.runs.newest_session(pipeline.id, environment, active.version_id) if active else None
        requests = view.promotions.open_for_version(active.version_id) if active and session else ()
        return Renewal(
            checks=session_checks(view, actor, pipeline, environment),
            session=session,
            receipts=len(view.runs.receipts(session_id=session.id)) if session else 0,
            pinned=tuple(one for one in requests if session is not None and one.plan.session == session.id),
        )


def new_session(ctx: Context, actor: Actor, name: str, environment: Environment) -> Session:
    """Refresh: the active version's next run in QA or UAT starts on branches fresh off main (D9).

    Asking again before that run answers the same.
    """
    with ctx.store.write(actor, "new_session") as unit:
        pipeline = unit.pipelines.named(name)
        refuse(session_checks(unit, actor, pipeline, environment))
        active = unit.deployments.active(pipeline.id, environment)
        assert active is not None  # noqa: S101 (one of the checks)
        newest = unit.runs.newest_session(pipeline.id, environment, active.version_id)
        if newest is not None and newest.state is SessionState.PENDING:
            return newest
        session = unit.runs.add_session(environment, pipeline.id, active.version_id)
        unit.audit("session.asked", f"session:{session.id}", pipeline=name, environment=environment.value)
        return session


def session_checks(view: View, actor: Actor, pipeline: Pipeline, environment: Environment) -> tuple[Check, ...]:
    """What a new evidence session asks for."""
    active = view.deployments.active(pipeline.id, environment)
    name, where = pipeline.name, environment.label
    doing = "refreshing an evidence session"
    return (
        role_check(view, actor, Role.DATA_ENGINEER, target_of(view, pipeline), doing),
        Check(True, f"{name} is active in {where}, which keeps evidence")
        if active is not None and environment.has_sessions
        else Check(False, f"{name} has no evidence session in {where}; promote it there first"),
    )


def _admitted(view: View, run_id: str, name: str, fence: FenceFinder) -> Admission:
    pipeline = view.pipelines.named(name)
    admission = view.runs.admission(run_id, pipeline.id)
    if admission is None:
        raise Refused(f"run {run_id} of {name} was not admitted; launch it through DRLS")
    version = view.pipelines.version(admission.version_id)
    answer = ask(view, name, version.digest, admission.environment, Action.RUN, run_id=run_id)
    if not answer.allowed:
        raise Refused(answer.reason)
    unfenced = unfenced_run(view, pipeline.id, admission.environment, fence)
    if unfenced:
        raise Refused(unfenced)
    return admission


def _session_of(view: View, admission: Admission) -> Session | None:
    """The evidence session that a run of this version is for."""
    if not admission.environment.has_sessions:
        return None
    return view.runs.newest_session(admission.pipeline_id, admission.environment, admission.version_id)


def _next_in_line(view: View, admission: Admission) -> Admission:
    """Who goes first. Runs of one version may overtake each other: their order is the queue's business.

    A run of another version, admitted before, goes first: in QA and UAT the later version starts its own session.
    """
    live = view.runs.live_admissions(admission.pipeline_id, admission.environment)
    running = [one for one in live if one.state is AdmissionState.RUNNING]
    before = [one for one in live if one.id < admission.id and one.version_id != admission.version_id]
    return [*running, *before, admission][0]
