"""Permit: leave for one compare-and-set, before it is made (L11)."""

from __future__ import annotations

from datetime import timedelta

from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import Action
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.run import Admission, Permit, Receipt, Work
from lifecycle.domain.seal import SealedFiles
from lifecycle.domain.version import Pipeline
from lifecycle.errors import Conflict, NotFound, Refused
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.context import Context
from lifecycle.usecases.may import ask
from lifecycle.usecases.parts.activation import require_no_execution
from lifecycle.usecases.parts.fencing import unfenced_publish
from lifecycle.usecases.parts.receipts import write_receipt
from lifecycle.usecases.parts.specs import asked_of, spec_of
from lifecycle.usecases.settle_permits import is_published

LEASE = timedelta(minutes=2)


class Publish(Frozen):
    """What a step is about to publish: which snapshot of which table, and how it came about."""

    run_id: str
    pipeline: str
    step: str
    partition: str = ""
    table: str
    ref: str
    base: int | None
    candidate: int
    work: Work = Work()


class Leave(Frozen):
    """Either a permit, or the receipt of this very step's earlier publish (D7)."""

    permit: Permit | None = None
    receipt: Receipt | None = None


def grant_permit(ctx: Context, actor: Actor, publish: Publish, *, lease: timedelta = LEASE) -> Leave:
    """A single-use permit. Raises Refused when the run may not publish, Conflict when it must wait.

    A failed or missing blocking check, a table that the version does not write, and (in production) a
    superseded version are refused.
    """
    sealed = _sealed(ctx, publish)
    with ctx.store.write(actor, "grant_permit") as unit:
        pipeline = unit.pipelines.named(publish.pipeline)
        admission = unit.runs.admission(publish.run_id, pipeline.id)
        why = _why_not(unit, pipeline, admission, publish)
        if why or admission is None:
            unit.audit("permit.refused", f"run:{publish.run_id}", table=publish.table, reason=why)
        else:
            known = unit.runs.receipt_for(admission.root_run_id, pipeline.id, publish.step, publish.partition)
            if known is not None:
                return Leave(receipt=known)
            require_no_execution(unit, pipeline, admission.environment)
            return Leave(permit=_grant(unit, pipeline, admission, publish, sealed, lease))
    raise Refused(why)


def _sealed(ctx: Context, publish: Publish) -> SealedFiles | None:
    """What is to be published, from the files themselves (L17); None for what is refused, or published already."""
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(publish.pipeline)
        admission = view.runs.admission(publish.run_id, pipeline.id)
        if admission is None or _why_not(view, pipeline, admission, publish):
            return None
        if view.runs.receipt_for(admission.root_run_id, pipeline.id, publish.step, publish.partition) is not None:
            return None
    return ctx.plane.seal(publish.table, admission.environment, publish.base, publish.candidate)


def _grant(
    unit: Unit,
    pipeline: Pipeline,
    admission: Admission,
    publish: Publish,
    sealed: SealedFiles | None,
    lease: timedelta,
) -> Permit:
    for other in unit.runs.live_permits(pipeline.id, admission.environment):
        if (other.table_name, other.ref) == (publish.table, publish.ref):
            if other.admission_id == admission.id and other.candidate == publish.candidate:
                return other
            raise Conflict(f"permit {other.id} is publishing {publish.table}; wait until it is used or expires")
    if sealed is None:
        raise Conflict(f"{publish.table} was refused a moment ago, and no longer is; ask again")
    unit.seals.add(sealed)
    work = publish.work.model_copy(update={"seal": sealed.seal})
    permit = unit.runs.add_permit(
        admission_id=admission.id,
        environment=admission.environment.value,
        pipeline_id=pipeline.id,
        version_id=admission.version_id,
        session_id=admission.session_id,
        step=publish.step,
        partition=publish.partition,
        table_name=publish.table,
        ref=publish.ref,
        base=publish.base,
        candidate=publish.candidate,
        details=work.model_dump(mode="json"),
        lease_until=unit.now + lease,
    )
    unit.audit(
        "permit.granted",
        f"run:{publish.run_id}",
        permit=permit.id,
        table=publish.table,
        ref=publish.ref,
        base=None if publish.base is None else str(publish.base),
        candidate=str(publish.candidate),
        seal=sealed.seal.root,
    )
    return permit


def _why_not(view: View, pipeline: Pipeline, admission: Admission | None, publish: Publish) -> str:
    """Why this publish is refused, or nothing."""
    if admission is None:
        return f"run {publish.run_id} of {pipeline.name} was not admitted; launch it through DRLS"
    version = view.pipelines.version(admission.version_id)
    environment = admission.environment
    answer = ask(view, pipeline.name, version.digest, environment, Action.PUBLISH, run_id=publish.run_id)
    if not answer.allowed:
        return answer.reason
    if not admission.has_begun:
        return f"run {publish.run_id} has not started; a pipeline's runs execute one at a time"
    active = view.deployments.active(pipeline.id, environment)
    if environment is Environment.PRODUCTION and (active is None or active.version_id != version.id):
        by = f"superseded by v{view.pipelines.version(active.version_id).number}" if active else "retired"
        return f"{pipeline.name} v{version.number} may not publish in production: {by}"
    unfenced = unfenced_publish(view, pipeline.id, environment, publish.work.fence)
    if unfenced:
        return unfenced
    asked = asked_of(spec_of(version))
    if publish.table not in asked.tables:
        sinks = ", ".join(asked.tables)
        return f"{pipeline.name} v{version.number} does not write {publish.table}; its sinks: {sinks}"
    results = {f"{one.node}.{one.check}": one for one in publish.work.checks}
    missing = [name for name in asked.blocking[publish.table] if name not in results]
    failed = [name for name in asked.blocking[publish.table] if name in results and not results[name].passed]
    if failed or missing:
        what = "failed" if failed else "not run"
        return f"{publish.table} is not published: {what}: {', '.join(failed or missing)}"
    return ""


def record_receipt(ctx: Context, actor: Actor, permit_id: int) -> Receipt:
    """The receipt of a used permit; writing it twice is writing it once.

    A permit that was revoked while the compare-and-set was under way gets its receipt if, and only
    if, the candidate is on the ref: no snapshot is without one. Raises Refused otherwise.
    """
    with ctx.store.read() as view:
        permit = view.runs.permit(permit_id)
        known = view.runs.receipt_of(permit_id)
    if known is not None:
        return known
    if not is_published(ctx, permit):
        raise Refused(f"permit {permit_id}: snapshot {permit.candidate} is not on {permit.ref} of {permit.table_name}")
    with ctx.store.write(actor, "record_receipt") as unit:
        known = unit.runs.receipt_of(permit_id)
        return known or write_receipt(unit, unit.runs.permit(permit_id))


def release_permit(ctx: Context, actor: Actor, permit_id: int) -> None:
    """Gives an unused permit back at once, after the compare-and-set was refused."""
    from lifecycle.domain.run import PermitState

    with ctx.store.read() as view:
        permit = view.runs.permit(permit_id)
    if is_published(ctx, permit):
        raise Refused(f"permit {permit_id} was used; record its receipt")
    with ctx.store.write(actor, "release_permit") as unit:
        current = unit.runs.permit(permit_id)
        if current.state is not PermitState.LIVE:
            raise NotFound(f"permit {permit_id} is {current.state.value}; there is nothing to return")
        unit.runs.close_permit(current, PermitState.VOID)
        unit.audit("permit.void", f"permit:{permit_id}", reason="returned unused")
