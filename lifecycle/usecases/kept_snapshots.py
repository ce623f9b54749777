"""Which snapshots of a table the lifecycle still needs, and why: what expiry must not take (L13, L15, D9)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen, SnapshotId
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.releases import previous_release
from lifecycle.domain.run import SessionState
from lifecycle.domain.version import Deployment
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.data_back import written_since
from lifecycle.usecases.parts.expected_head import expected_head


class Kept(Frozen):
    """`snapshot` of the table as it is in `environment`, and `why`.

    `chain`: also everything between it and the ref's head, as somebody goes from one to the other; `of`: or between
    it and that snapshot.
    """

    environment: Environment
    snapshot: SnapshotId
    why: str
    chain: bool = False
    of: SnapshotId | None = None


class Reader(Frozen):
    """The spec of a version of `pipeline`, active in `environment`, that may read the table."""

    environment: Environment
    pipeline: str
    spec: str


def kept_snapshots(ctx: Context, table: str) -> tuple[Kept, ...]:
    """`table` is the name that pipelines use. Asks the store alone."""
    with ctx.store.read() as view:
        found = [*_published(view, table), *_unsettled(view, table), *_released(view, table), *_inputs(view, table)]
        for deployment in _active(view):
            if table in view.pipelines.tables(deployment.version_id):
                found += _session(view, deployment, table)
        found += _requested(view, table)
    return tuple(found)


def readers(ctx: Context, table: str) -> tuple[Reader, ...]:
    """The versions that are active somewhere, or that a rollback would return to, and whose spec names `table`."""
    found: list[Reader] = []
    with ctx.store.read() as view:
        for environment in Environment:
            for version in view.deployments.versions_naming([table], environment):
                name = view.pipelines.get(version.pipeline_id).name
                found.append(Reader(environment=environment, pipeline=name, spec=version.spec))
        for deployment in view.deployments.of(Environment.PRODUCTION):
            previous = previous_release(view.deployments.history(deployment.pipeline_id, Environment.PRODUCTION))
            spec = view.pipelines.version(previous.version_id).spec if previous is not None else ""
            if json.dumps(table, ensure_ascii=False) in spec:
                name = view.pipelines.get(deployment.pipeline_id).name
                found.append(Reader(environment=Environment.PRODUCTION, pipeline=name, spec=spec))
    return tuple(found)


def _published(view: View, table: str) -> Iterator[Kept]:
    """Reconcile goes from a head back to what was published or adopted last."""
    for environment in (Environment.QA, Environment.UAT, Environment.PRODUCTION):
        expected = expected_head(view, table, environment)
        if expected is not None and expected.snapshot is not None:
            yield Kept(
                environment=environment,
                snapshot=expected.snapshot,
                why=f"what was last published or adopted in {environment.label}",
                chain=environment is Environment.PRODUCTION,
            )


def _unsettled(view: View, table: str) -> Iterator[Kept]:
    """Permits whose publish is under way, and drift that nobody has settled."""
    for environment in (Environment.QA, Environment.UAT, Environment.PRODUCTION):
        live = (
            *view.runs.live_permits(environment=environment),
            *view.runs.live_maintenance(environment=environment),
        )
        for permit in live:
            if permit.table_name == table:
                why = f"permit {permit.id} is being used"
                yield Kept(environment=environment, snapshot=permit.candidate, why=why)
                if permit.base is not None:
                    yield Kept(environment=environment, snapshot=permit.base, why=why, chain=True)
        for drift in view.runs.open_drifts(environment=environment):
            if drift.table_name == table:
                for snapshot in (drift.found, drift.expected):
                    if snapshot is not None:
                        why = f"drift {drift.id} is not settled"
                        yield Kept(environment=environment, snapshot=snapshot, why=why)


def _released(view: View, table: str) -> Iterator[Kept]:
    """Where a rollback of production with its data would return to (L13)."""
    for deployment in view.deployments.of(Environment.PRODUCTION):
        history = view.deployments.history(deployment.pipeline_id, Environment.PRODUCTION)
        previous = previous_release(history)
        if previous is None:
            continue
        for name, receipts in written_since(view, history[history.index(previous) :]):
            if name == table and receipts[0].base is not None:
                why = "a rollback to the previous release returns to it"
                yield Kept(environment=Environment.PRODUCTION, snapshot=receipts[0].base, why=why)


def _session(view: View, deployment: Deployment, table: str) -> Iterator[Kept]:
    """Evidence is valid only if every snapshot back to the session's base has a receipt (D9)."""
    environment = deployment.environment
    if not environment.has_sessions:
        return
    session = view.runs.newest_session(deployment.pipeline_id, environment, deployment.version_id)
    base = session.bases.get(table) if session is not None and session.state is SessionState.OPEN else None
    if base is not None and session is not None:
        why = f"evidence session {session.id} in {environment.label} is open"
        yield Kept(environment=environment, snapshot=base, why=why, chain=True)


def _requested(view: View, table: str) -> Iterator[Kept]:
    """What an unfinished request approves, goes back to when it is undone, and read."""
    for request in _unfinished(view):
        plan, why = request.plan, f"request {request.id} is not finished"
        bases = view.runs.session(plan.session).bases if plan.session is not None else {}
        moves = view.promotions.moves_from(request.id)
        for one in plan.tables:
            if one.table != table:
                continue
            for snapshot in (one.base, moves.get(table)):
                if snapshot is not None:
                    yield Kept(environment=plan.target, snapshot=snapshot, why=why, chain=True)
            if one.candidate is not None:
                yield Kept(environment=plan.source, snapshot=one.candidate, why=why)
                base = bases.get(table)
                if base is not None:
                    yield Kept(environment=plan.source, snapshot=base, why=why, chain=True, of=one.candidate)
        for read in plan.inputs:
            if read.name == table and read.snapshot is not None:
                yield Kept(environment=Environment.PRODUCTION, snapshot=read.snapshot, why=why, chain=True)


def _inputs(view: View, table: str) -> Iterator[Kept]:
    """What the evidence of open sessions read: a promotion asks whether it is on `main` (L4).

    Not of a version that is where a promotion would take it.
    """
    for deployment in _active(view):
        after = deployment.environment.after
        if not deployment.environment.has_sessions or after is None:
            continue
        there = view.deployments.active(deployment.pipeline_id, after)
        if there is not None and there.version_id == deployment.version_id:
            continue
        session = view.runs.newest_session(deployment.pipeline_id, deployment.environment, deployment.version_id)
        if session is None or session.state is not SessionState.OPEN:
            continue
        for receipt in view.runs.receipts(session_id=session.id):
            for read in receipt.details.inputs:
                if read.name == table and read.snapshot is not None:
                    why = f"evidence session {session.id} in {deployment.environment.label} read it"
                    yield Kept(environment=Environment.PRODUCTION, snapshot=read.snapshot, why=why, chain=True)


def _active(view: View) -> list[Deployment]:
    return [one for environment in Environment for one in view.deployments.of(environment)]


def _unfinished(view: View) -> list[Promotion]:
    pipelines = {one.pipeline_id for one in _active(view)}
    return [request for pipeline in sorted(pipelines) for request in view.promotions.unfinished(pipeline)]
