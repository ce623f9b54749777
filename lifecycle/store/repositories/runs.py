"""Sessions, admissions, permits, receipts and drift."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, or_, select, update

from lifecycle.domain.environment import Environment
from lifecycle.domain.run import (
    UNSETTLED,
    Admission,
    AdmissionState,
    Drift,
    MaintenancePermit,
    Outcome,
    Permit,
    PermitState,
    Receipt,
    Session,
    SessionState,
)
from lifecycle.errors import Conflict, NotFound
from lifecycle.store.tables import (
    AdmissionRow,
    DriftRow,
    MaintenanceRow,
    PermitRow,
    ReceiptRow,
    SessionRow,
    SinkTableRow,
    VersionRow,
)
from lifecycle.store.tx import Tx, by

_ADMISSION = tuple(AdmissionRow.__table__.columns)
_MAINTENANCE = tuple(MaintenanceRow.__table__.columns)
_PERMIT = tuple(PermitRow.__table__.columns)
_RECEIPT = tuple(ReceiptRow.__table__.columns)
_SESSION = tuple(SessionRow.__table__.columns)
_LIVE = (AdmissionState.QUEUED.value, AdmissionState.RUNNING.value)
_SESSION_BY_ID = by(SessionRow, "id")
_NEWEST_SESSION = by(SessionRow, "pipeline_id", "environment", "version_id", order=(SessionRow.id.desc(),), limit=1)
_PARAMETERS = (
    select(AdmissionRow.root_run_id, AdmissionRow.parameters)
    .where(
        AdmissionRow.root_run_id.in_(bindparam("run_keys", expanding=True)),
        AdmissionRow.pipeline_id == bindparam("pipeline_id"),
    )
    .order_by(AdmissionRow.id.desc())
)
_STARTED = by(
    AdmissionRow,
    "pipeline_id",
    "environment",
    "version_id",
    where=(AdmissionRow.session_id.is_not(None),),
    order=(AdmissionRow.id.desc(),),
).limit(bindparam("limit"))
_PUBLISHED_BY = select(ReceiptRow.root_run_id, ReceiptRow.table_name).where(
    ReceiptRow.root_run_id.in_(bindparam("run_keys", expanding=True)),
    ReceiptRow.pipeline_id == bindparam("pipeline_id"),
)
_ADMISSION_OF = by(AdmissionRow, "run_id", "pipeline_id")
_PERMITS_IN = by(
    PermitRow, "pipeline_id", "environment", where=(PermitRow.state == PermitState.LIVE.value,), order=(PermitRow.id,)
)
_RECEIPTS = by(ReceiptRow, where=(ReceiptRow.id.in_(bindparam("ids", expanding=True)),), order=(ReceiptRow.id,))
_RECEIPTS_IN = by(ReceiptRow, "session_id", order=(ReceiptRow.id,))
_DRIFTS_OF = by(DriftRow, "pipeline_id", where=(DriftRow.state.in_(UNSETTLED),), order=(DriftRow.id,))


class Runs:
    """What runs may do and have done."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def add_session(self, environment: Environment, pipeline_id: int, version_id: int) -> Session:
        """A pending session; the ones before stay until it opens."""
        key = self._tx.insert(
            SessionRow,
            environment=environment.value,
            pipeline_id=pipeline_id,
            version_id=version_id,
            state=SessionState.PENDING.value,
            bases={},
            created_at=self._tx.now,
        )
        return self.session(key)

    def session(self, session_id: int) -> Session:
        found = self._tx.prepared(Session, _SESSION_BY_ID, id=session_id)
        if found is None:
            raise NotFound(f"there is no evidence session {session_id}")
        return found

    def newest_session(self, pipeline_id: int, environment: Environment, version_id: int) -> Session | None:
        return self._tx.prepared(
            Session, _NEWEST_SESSION, pipeline_id=pipeline_id, environment=environment.value, version_id=version_id
        )

    def open_session(self, session: Session, bases: dict[str, int | None]) -> Session:
        """Pending → open, and every older session of the environment is closed."""
        self._tx.update(
            update(SessionRow)
            .where(
                SessionRow.pipeline_id == session.pipeline_id,
                SessionRow.environment == session.environment.value,
                SessionRow.id < session.id,
                SessionRow.state != SessionState.CLOSED.value,
            )
            .values(state=SessionState.CLOSED.value, closed_at=self._tx.now)
        )
        texts = {table: None if base is None else str(base) for table, base in bases.items()}
        changed = self._tx.update(
            update(SessionRow)
            .where(SessionRow.id == session.id, SessionRow.state == SessionState.PENDING.value)
            .values(state=SessionState.OPEN.value, opened_at=self._tx.now, bases=texts)
        )
        if not changed:
            raise Conflict(f"evidence session {session.id} has already started")
        return self.session(session.id)

    def add_admission(self, **values: Any) -> Admission:
        key = self._tx.insert(AdmissionRow, admitted_at=self._tx.now, why="", **values)
        found = self._tx.one(Admission, select(*_ADMISSION).where(AdmissionRow.id == key))
        assert found is not None  # noqa: S101 (inserted above)
        return found

    def admission(self, run_id: str, pipeline_id: int) -> Admission | None:
        return self._tx.prepared(Admission, _ADMISSION_OF, run_id=run_id, pipeline_id=pipeline_id)

    def admissions_of(self, run_id: str) -> tuple[Admission, ...]:
        """Of each pipeline of a run, in the order of admission."""
        query = select(*_ADMISSION).where(AdmissionRow.run_id == run_id).order_by(AdmissionRow.id)
        return self._tx.many(Admission, query)

    def admission_by_id(self, admission_id: int) -> Admission:
        found = self._tx.one(Admission, select(*_ADMISSION).where(AdmissionRow.id == admission_id))
        if found is None:
            raise NotFound(f"there is no admission {admission_id}")
        return found

    def live_admissions(
        self, pipeline_id: int | None = None, environment: Environment | None = None
    ) -> tuple[Admission, ...]:
        """Queued and running, oldest first."""
        query = select(*_ADMISSION).where(AdmissionRow.state.in_(_LIVE))
        if pipeline_id is not None:
            query = query.where(AdmissionRow.pipeline_id == pipeline_id)
        if environment is not None:
            query = query.where(AdmissionRow.environment == environment.value)
        return self._tx.many(Admission, query.order_by(AdmissionRow.id))

    def set_admission(
        self, admission: Admission, state: AdmissionState, why: str = "", session_id: int | None = None
    ) -> Admission:
        """A compare-and-set on the state."""
        ended = None if state.is_live else self._tx.now
        session = session_id or admission.session_id
        changed = self._tx.update(
            update(AdmissionRow)
            .where(AdmissionRow.id == admission.id, AdmissionRow.state == admission.state.value)
            .values(state=state.value, why=why, ended_at=ended, session_id=session)
        )
        if not changed:
            raise Conflict(f"run {admission.run_id} has changed in the meantime; try again")
        return admission.model_copy(update={"state": state, "why": why, "ended_at": ended, "session_id": session})

    def without_outcome(self, since: datetime, *, limit: int) -> tuple[Admission, ...]:
        """Finished since then, the newest first, and nobody has said how."""
        query = select(*_ADMISSION).where(
            AdmissionRow.outcome.is_(None),
            AdmissionRow.ended_at >= since,
            AdmissionRow.state == AdmissionState.FINISHED.value,
        )
        return self._tx.many(Admission, query.order_by(AdmissionRow.ended_at.desc()).limit(limit))

    def started(
        self, pipeline_id: int, version_id: int, environment: Environment, *, limit: int
    ) -> tuple[Admission, ...]:
        """The newest runs of a version that began in QA or UAT, newest first."""
        return self._tx.prepared_many(
            Admission,
            _STARTED,
            pipeline_id=pipeline_id,
            version_id=version_id,
            environment=environment.value,
            limit=limit,
        )

    def published_by(self, run_keys: Collection[str], pipeline_id: int) -> dict[str, frozenset[str]]:
        """By root run: the tables that it, or a re-execution of it, published."""
        found: dict[str, set[str]] = {}
        asked = sorted(run_keys)
        for root, table in self._tx.prepared_tuples(_PUBLISHED_BY, run_keys=asked, pipeline_id=pipeline_id):
            found.setdefault(root, set()).add(table)
        return {root: frozenset(tables) for root, tables in found.items()}

    def set_outcome(self, admission: Admission, outcome: Outcome) -> bool:
        """Records once how a finished run ended; False if that is already recorded."""
        changed = self._tx.update(
            update(AdmissionRow)
            .where(
                AdmissionRow.id == admission.id,
                AdmissionRow.state == AdmissionState.FINISHED.value,
                AdmissionRow.outcome.is_(None),
            )
            .values(outcome=outcome.value)
        )
        return bool(changed)

    def parameters(self, run_keys: Iterable[str], pipeline_id: int) -> dict[str, dict[str, Any]]:
        """The parameters that each root run's admission names."""
        found = self._tx.prepared_tuples(_PARAMETERS, run_keys=list(run_keys), pipeline_id=pipeline_id)
        return {row[0]: row[1] for row in found}

    def add_permit(self, **values: Any) -> Permit:
        return self.permit(self._tx.insert(PermitRow, granted_at=self._tx.now, state=PermitState.LIVE.value, **values))

    def permit(self, permit_id: int) -> Permit:
        found = self._tx.one(Permit, select(*_PERMIT).where(PermitRow.id == permit_id))
        if found is None:
            raise NotFound(f"there is no permit {permit_id}")
        return found

    def live_permits(
        self, pipeline_id: int | None = None, environment: Environment | None = None
    ) -> tuple[Permit, ...]:
        if pipeline_id is not None and environment is not None:
            return self._tx.prepared_many(Permit, _PERMITS_IN, pipeline_id=pipeline_id, environment=environment.value)
        query = select(*_PERMIT).where(PermitRow.state == PermitState.LIVE.value)
        if pipeline_id is not None:
            query = query.where(PermitRow.pipeline_id == pipeline_id)
        if environment is not None:
            query = query.where(PermitRow.environment == environment.value)
        return self._tx.many(Permit, query.order_by(PermitRow.id))

    def permits_on(self, table: str, ref: str, environment: Environment) -> tuple[Permit, ...]:
        """Every permit that ever named this ref of this table."""
        query = select(*_PERMIT).where(
            PermitRow.table_name == table, PermitRow.ref == ref, PermitRow.environment == environment.value
        )
        return self._tx.many(Permit, query.order_by(PermitRow.id))

    def close_permit(self, permit: Permit, state: PermitState) -> None:
        """Live → `state`. Raises Conflict when it is closed already."""
        changed = self._tx.update(
            update(PermitRow)
            .where(PermitRow.id == permit.id, PermitRow.state == PermitState.LIVE.value)
            .values(state=state.value, closed_at=self._tx.now)
        )
        if not changed:
            raise Conflict(f"permit {permit.id} is already closed")

    def add_maintenance(self, **values: Any) -> MaintenancePermit:
        key = self._tx.insert(MaintenanceRow, granted_at=self._tx.now, state=PermitState.LIVE.value, **values)
        return self.maintenance(key)

    def maintenance(self, permit_id: int) -> MaintenancePermit:
        found = self._tx.one(MaintenancePermit, select(*_MAINTENANCE).where(MaintenanceRow.id == permit_id))
        if found is None:
            raise NotFound(f"there is no maintenance permit {permit_id}")
        return found

    def live_maintenance(
        self, pipeline_id: int | None = None, environment: Environment | None = None
    ) -> tuple[MaintenancePermit, ...]:
        query = select(*_MAINTENANCE).where(MaintenanceRow.state == PermitState.LIVE.value)
        if pipeline_id is not None:
            query = query.where(MaintenanceRow.pipeline_id == pipeline_id)
        if environment is not None:
            query = query.where(MaintenanceRow.environment == environment.value)
        return self._tx.many(MaintenancePermit, query.order_by(MaintenanceRow.id))

    def close_maintenance(self, permit: MaintenancePermit, state: PermitState) -> None:
        """Live → `state`. Raises Conflict when it is closed already."""
        changed = self._tx.update(
            update(MaintenanceRow)
            .where(MaintenanceRow.id == permit.id, MaintenanceRow.state == PermitState.LIVE.value)
            .values(state=state.value, closed_at=self._tx.now)
        )
        if not changed:
            raise Conflict(f"maintenance permit {permit.id} is already closed")

    def rewrites(self, table: str, environment: Environment) -> dict[int, int]:
        """Snapshots that hold the rows of an earlier one, and that one: by a permit, or adopted after a comparison."""
        permits = select(MaintenanceRow.candidate, MaintenanceRow.base).where(
            MaintenanceRow.table_name == table,
            MaintenanceRow.environment == environment.value,
            MaintenanceRow.state.in_((PermitState.LIVE.value, PermitState.USED.value)),
        )
        adopted = select(DriftRow.found, DriftRow.expected).where(
            DriftRow.table_name == table,
            DriftRow.environment == environment.value,
            DriftRow.state == "adopted",
            DriftRow.file.is_(None),
            DriftRow.expected.is_not(None),
            DriftRow.found.is_not(None),
        )
        return {row[0]: row[1] for query in (permits, adopted) for row in self._tx.tuples(query)}

    def receipt_of_maintenance(self, permit: MaintenancePermit) -> Receipt | None:
        query = select(*_RECEIPT).where(
            ReceiptRow.root_run_id == permit.run_id, ReceiptRow.pipeline_id == permit.pipeline_id
        )
        return self._tx.one(Receipt, query)

    def add_receipt(self, **values: Any) -> Receipt:
        key = self._tx.insert(ReceiptRow, at=self._tx.now, **values)
        found = self._tx.one(Receipt, select(*_RECEIPT).where(ReceiptRow.id == key))
        assert found is not None  # noqa: S101 (inserted above)
        return found

    def receipt_of(self, permit_id: int) -> Receipt | None:
        return self._tx.one(Receipt, select(*_RECEIPT).where(ReceiptRow.permit_id == permit_id))

    def receipt_for(self, run_key: str, pipeline_id: int, step: str, partition: str) -> Receipt | None:
        """What a step published already: the key of D7."""
        query = select(*_RECEIPT).where(
            ReceiptRow.root_run_id == run_key,
            ReceiptRow.pipeline_id == pipeline_id,
            ReceiptRow.step == step,
            ReceiptRow.partition == partition,
        )
        return self._tx.one(Receipt, query)

    def receipts(
        self,
        *,
        session_id: int | None = None,
        version_id: int | None = None,
        ids: Iterable[int] | None = None,
    ) -> tuple[Receipt, ...]:
        """Oldest first."""
        if session_id is not None and version_id is None and ids is None:
            return self._tx.prepared_many(Receipt, _RECEIPTS_IN, session_id=session_id)
        if ids is not None and session_id is None and version_id is None:
            return self._tx.prepared_many(Receipt, _RECEIPTS, ids=sorted(ids))
        query = select(*_RECEIPT)
        if session_id is not None:
            query = query.where(ReceiptRow.session_id == session_id)
        if version_id is not None:
            query = query.where(ReceiptRow.version_id == version_id)
        if ids is not None:
            query = query.where(ReceiptRow.id.in_(list(ids)))
        return self._tx.many(Receipt, query.order_by(ReceiptRow.id))

    def receipts_on(self, table: str, environment: Environment) -> tuple[Receipt, ...]:
        """Everything that was published to this table in an environment, oldest first.

        Not by the ref: development and production both publish to `main`, of different tables of one name.
        """
        query = select(*_RECEIPT).where(ReceiptRow.table_name == table, ReceiptRow.environment == environment.value)
        return self._tx.many(Receipt, query.order_by(ReceiptRow.id))

    def published(self, pipeline_ids: Iterable[int], environment: Environment, at: datetime) -> tuple[Receipt, ...]:
        """The newest receipt of each table that one of these pipelines was the last to publish there by `at`."""
        pipelines = tuple(sorted(pipeline_ids))
        key = ("published", pipelines, environment)
        return self._tx.once_of(at, key, lambda: self._published(pipelines, environment, at))

    def _published(self, pipelines: Sequence[int], environment: Environment, at: datetime) -> tuple[Receipt, ...]:
        tables = (
            select(SinkTableRow.name)
            .join(VersionRow, VersionRow.id == SinkTableRow.version_id)
            .where(VersionRow.pipeline_id.in_(pipelines))
        )
        newest = (
            select(func.max(ReceiptRow.id))
            .where(
                # There is an index by table, none by pipeline.
                ReceiptRow.table_name.in_(tables),
                ReceiptRow.environment == environment.value,
                ReceiptRow.at <= at,
                # Maintenance changes no row, so the publish before it still counts.
                or_(ReceiptRow.permit_id.is_not(None), ReceiptRow.promotion_id.is_not(None)),
            )
            .group_by(ReceiptRow.table_name)
        )
        query = select(*_RECEIPT).where(ReceiptRow.id.in_(newest), ReceiptRow.pipeline_id.in_(pipelines))
        return self._tx.many(Receipt, query.order_by(ReceiptRow.table_name))

    def writers(self, snapshots: Collection[tuple[str, int]]) -> dict[tuple[str, int], Receipt]:
        """By table and snapshot: the receipt of the run that wrote it; not there where no run of DRLS did."""
        query = select(*_RECEIPT).where(
            ReceiptRow.table_name.in_({table for table, _ in snapshots}),
            ReceiptRow.snapshot.in_({snapshot for _, snapshot in snapshots}),
            ReceiptRow.permit_id.is_not(None),
        )
        found: dict[tuple[str, int], Receipt] = {}
        for receipt in self._tx.many(Receipt, query.order_by(ReceiptRow.id)) if snapshots else ():
            found.setdefault((receipt.table_name, receipt.snapshot), receipt)
        return found

    def newest_admissions(
        self, pipeline_ids: Iterable[int], environment: Environment, at: datetime | None = None
    ) -> dict[int, Admission]:
        """By pipeline: the run that was admitted last, now or until `at`."""
        newest = (
            select(func.max(AdmissionRow.id))
            .where(AdmissionRow.pipeline_id.in_(list(pipeline_ids)), AdmissionRow.environment == environment.value)
            .group_by(AdmissionRow.pipeline_id)
        )
        if at is not None:
            newest = newest.where(AdmissionRow.admitted_at <= at)
        query = select(*_ADMISSION).where(AdmissionRow.id.in_(newest))
        return {one.pipeline_id: one for one in self._tx.many(Admission, query)}

    def count_live(self, only: Collection[int] | None = None) -> dict[Environment, int]:
        """How many runs are queued or running in each environment."""
        query = select(AdmissionRow.environment, func.count()).where(AdmissionRow.state.in_(_LIVE))
        if only is not None:
            query = query.where(AdmissionRow.pipeline_id.in_(list(only)))
        return {Environment(row[0]): row[1] for row in self._tx.tuples(query.group_by(AdmissionRow.environment))}

    def newest_sessions(self, version_ids: Iterable[int], environment: Environment) -> dict[int, Session]:
        """By version: its newest evidence session in an environment."""
        newest = (
            select(func.max(SessionRow.id))
            .where(SessionRow.version_id.in_(list(version_ids)), SessionRow.environment == environment.value)
            .group_by(SessionRow.version_id)
        )
        return {
            one.version_id: one for one in self._tx.many(Session, select(*_SESSION).where(SessionRow.id.in_(newest)))
        }

    def add_drift(self, **values: Any) -> Drift:
        return self.drift(self._tx.insert(DriftRow, state="open", reason="", found_at=self._tx.now, **values))

    def drift(self, drift_id: int) -> Drift:
        found = self._tx.one(Drift, select(*DriftRow.__table__.columns).where(DriftRow.id == drift_id))
        if found is None:
            raise NotFound(f"there is no drift {drift_id}")
        return found

    def open_drifts(self, pipeline_id: int | None = None, environment: Environment | None = None) -> tuple[Drift, ...]:
        """Those that nobody has settled yet; one that is being reverted is not settled."""
        if pipeline_id is not None and environment is None:
            return self._tx.prepared_many(Drift, _DRIFTS_OF, pipeline_id=pipeline_id)
        query = select(*DriftRow.__table__.columns).where(DriftRow.state.in_(UNSETTLED))
        if pipeline_id is not None:
            query = query.where(DriftRow.pipeline_id == pipeline_id)
        if environment is not None:
            query = query.where(DriftRow.environment == environment.value)
        return self._tx.many(Drift, query.order_by(DriftRow.id))

    def adopted(self, table: str, ref: str) -> tuple[Drift, ...]:
        """What a Lead took over of this ref though no permit explains it, in the order of adoption."""
        query = select(*DriftRow.__table__.columns).where(
            DriftRow.table_name == table,
            DriftRow.ref == ref,
            DriftRow.state == "adopted",
            DriftRow.file.is_(None),
        )
        return self._tx.many(Drift, query.order_by(DriftRow.closed_at, DriftRow.id))

    def adopted_files(self, table: str, environment: Environment) -> tuple[Drift, ...]:
        """Files that a Lead took over as they are now, in the order of adoption."""
        query = select(*DriftRow.__table__.columns).where(
            DriftRow.table_name == table,
            DriftRow.environment == environment.value,
            DriftRow.state == "adopted",
            DriftRow.file.is_not(None),
        )
        return self._tx.many(Drift, query.order_by(DriftRow.closed_at, DriftRow.id))

    def drifts_at(self, environment: Environment, at: datetime) -> tuple[Drift, ...]:
        """The drifts that were found and not settled at a past time."""
        query = select(*DriftRow.__table__.columns).where(
            DriftRow.environment == environment.value,
            DriftRow.found_at <= at,
            or_(DriftRow.closed_at.is_(None), DriftRow.closed_at > at),
        )
        return self._tx.many(Drift, query.order_by(DriftRow.id))

    def adopted_by(self, pipeline_ids: Iterable[int], environment: Environment, at: datetime) -> tuple[Drift, ...]:
        """What was adopted of these pipelines' tables until `at`, oldest first."""
        pipelines = tuple(sorted(pipeline_ids))
        key = ("adopted by", pipelines, environment)
        return self._tx.once_of(at, key, lambda: self._adopted_by(pipelines, environment, at))

    def _adopted_by(self, pipelines: Sequence[int], environment: Environment, at: datetime) -> tuple[Drift, ...]:
        query = select(*DriftRow.__table__.columns).where(
            DriftRow.pipeline_id.in_(pipelines),
            DriftRow.environment == environment.value,
            DriftRow.state == "adopted",
            DriftRow.file.is_(None),
            # Nor does a compaction that was compared.
            DriftRow.expected.is_(None),
            DriftRow.closed_at <= at,
        )
        return self._tx.many(Drift, query.order_by(DriftRow.closed_at, DriftRow.id))

    def close_drift(self, drift: Drift, state: str, reason: str, by: int | None, **more: Any) -> None:
        changed = self._tx.update(
            update(DriftRow)
            .where(
                DriftRow.id == drift.id,
                DriftRow.state == drift.state,
                DriftRow.executor.is_not_distinct_from(drift.executor),
            )
            .values(
                state=state, reason=reason, closed_at=self._tx.now, closed_by=by, lease_until=None, outcome="", **more
            )
        )
        if not changed:
            raise Conflict(f"drift {drift.id} has already been settled; reload the page")

    def set_revert(self, drift: Drift, **values: Any) -> Drift:
        """Begins, takes over or lets go of a revert. Raises Conflict when somebody was first."""
        changed = self._tx.update(
            update(DriftRow)
            .where(
                DriftRow.id == drift.id,
                DriftRow.state == drift.state,
                DriftRow.executor.is_not_distinct_from(drift.executor),
            )
            .values(**values)
        )
        if not changed:
            raise Conflict(f"drift {drift.id} has already been settled, or is being reverted; reload the page")
        return self.drift(drift.id)
