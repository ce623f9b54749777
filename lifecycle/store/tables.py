"""All tables of the lifecycle: the work of a pipeline. People and keeping are in `tables_people`.

Ids grow in the order of commits, because every write transaction holds the audit head (A3): an
order by id is an order by sequence, never by clock (L8).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, Index, LargeBinary, MetaData, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import BigInteger, Integer, TypeDecorator

Key = BigInteger().with_variant(Integer(), "sqlite")


class Instant(TypeDecorator[datetime]):
    """A point in time, UTC on both databases; a naive value is a programming error."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; take the time from the Clock port")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Every table; names of constraints are fixed, so that a migration can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: Instant(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
        str: Text(),
        int: Key,
    }
    __table_args__: ClassVar[Any] = {"sqlite_autoincrement": True}


def _id() -> Mapped[int]:
    return mapped_column(primary_key=True, autoincrement=True)


def _options(*constraints: Any) -> tuple[Any, ...]:
    return (*constraints, {"sqlite_autoincrement": True})


class PipelineRow(Base):
    __tablename__ = "pipeline"
    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    deleted_at: Mapped[datetime | None]
    deleted_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


class VersionRow(Base):
    __tablename__ = "version"
    __table_args__ = _options(UniqueConstraint("pipeline_id", "number"), UniqueConstraint("pipeline_id", "digest"))
    id: Mapped[int] = _id()
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipeline.id"))
    number: Mapped[int]
    digest: Mapped[str] = mapped_column(index=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("version.id"))
    spec: Mapped[str]
    message: Mapped[str]
    origin: Mapped[dict[str, Any]]
    author: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    acted_for: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime]


class CodeFileRow(Base):
    """A file of versions' local code, once per content; a version's lock names it by its digest (L2)."""

    __tablename__ = "code_file"
    id: Mapped[int] = _id()
    digest: Mapped[str] = mapped_column(unique=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class SealRow(Base):
    """The files of a seal, compressed, under its root, which receipts name (L17)."""

    __tablename__ = "seal"
    id: Mapped[int] = _id()
    root: Mapped[str] = mapped_column(unique=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class SavedRow(Base):
    """Who saved which content, also when the content was there already: each is a contributor (L6)."""

    __tablename__ = "saved"
    __table_args__ = _options(Index(None, "version_id"))
    id: Mapped[int] = _id()
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("version.id"))
    person: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    acted_for: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime]


class SinkTableRow(Base):
    """Which tables a version writes: the owner of a table is found here (D11)."""

    __tablename__ = "sink_table"
    __table_args__ = _options(UniqueConstraint("version_id", "name"), Index(None, "name"))
    id: Mapped[int] = _id()
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id"))
    name: Mapped[str]


class DeploymentRow(Base):
    __tablename__ = "deployment"
    __table_args__ = _options(
        Index(
            "one_active_version", "environment", "pipeline_id", unique=True,
            sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL"),
        ),
        Index(None, "pipeline_id", "environment", "started_at"),
        Index(None, "version_id"),
    )  # fmt: skip
    id: Mapped[int] = _id()
    environment: Mapped[str]
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipeline.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id"))
    reason: Mapped[str]
    label: Mapped[str]
    promotion_id: Mapped[int | None] = mapped_column(ForeignKey("promotion.id"))
    deployed_digest: Mapped[str]
    started_at: Mapped[datetime]
    started_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    ended_at: Mapped[datetime | None]
    ended_reason: Mapped[str | None]


class SessionRow(Base):
    """One evidence session: the branches of QA or UAT since they were opened for a version (D9)."""

    __tablename__ = "evidence_session"
    __table_args__ = _options(Index(None, "pipeline_id", "environment"))
    id: Mapped[int] = _id()
    environment: Mapped[str]
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipeline.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id"))
    state: Mapped[str]
    bases: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class PromotionRow(Base):
    __tablename__ = "promotion"
    __table_args__ = _options(Index(None, "state"), Index(None, "pipeline_id", "target"), Index(None, "version_id"))
    id: Mapped[int] = _id()
    revision: Mapped[int]
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipeline.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id"))
    target: Mapped[str]
    state: Mapped[str]
    plan: Mapped[dict[str, Any]]
    plan_digest: Mapped[str]
    policy_id: Mapped[int | None] = mapped_column(ForeignKey("policy.id"))
    requested_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    acted_for: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str]
    refresh_of: Mapped[int | None] = mapped_column(ForeignKey("promotion.id"))
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    approved_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str]
    pinned: Mapped[bool]
    executor: Mapped[str | None]
    lease_until: Mapped[datetime | None]


class JournalRow(Base):
    """What an execution has done to which table: resume reads it (L12). `base` is what its ref moves from."""

    __tablename__ = "journal"
    __table_args__ = _options(UniqueConstraint("promotion_id", "position"))
    id: Mapped[int] = _id()
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotion.id"))
    position: Mapped[int]
    table_name: Mapped[str]
    state: Mapped[str]
    base: Mapped[int | None]


class DecisionRow(Base):
    __tablename__ = "decision"
    __table_args__ = _options(UniqueConstraint("promotion_id", "person", "verdict"))
    id: Mapped[int] = _id()
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotion.id"))
    person: Mapped[int] = mapped_column(ForeignKey("person.id"))
    identity: Mapped[str]
    verdict: Mapped[str]
    reason: Mapped[str]
    role: Mapped[str]
    teams: Mapped[list[Any]]
    own_work: Mapped[bool]
    plan_digest: Mapped[str]
    at: Mapped[datetime]


class CommentRow(Base):
    __tablename__ = "comment"
    __table_args__ = _options(Index(None, "promotion_id"))
    id: Mapped[int] = _id()
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotion.id"))
    person: Mapped[int] = mapped_column(ForeignKey("person.id"))
    body: Mapped[str]
    at: Mapped[datetime]


class AdmissionRow(Base):
    __tablename__ = "admission"
    __table_args__ = _options(
        UniqueConstraint("run_id", "pipeline_id"),
        Index(
            "one_running_run", "environment", "pipeline_id", unique=True,
            sqlite_where=text("state = 'running'"), postgresql_where=text("state = 'running'"),
        ),
        Index(None, "pipeline_id", "environment", "state"),
        Index(
            "runs_without_outcome", "ended_at",
            sqlite_where=text("outcome IS NULL"), postgresql_where=text("outcome IS NULL"),
        ),
    )  # fmt: skip
    id: Mapped[int] = _id()
    run_id: Mapped[str]
    root_run_id: Mapped[str]
    environment: Mapped[str]
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipeline.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("evidence_session.id"))
    state: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    way_in: Mapped[str]
    admitted_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    admitted_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    why: Mapped[str]
    outcome: Mapped[str | None]


class PermitRow(Base):
    __tablename__ = "permit"
    __table_args__ = _options(Index(None, "pipeline_id", "environment", "state"), Index(None, "admission_id"))
    id: Mapped[int] = _id()
    admission_id: Mapped[int] = mapped_column(ForeignKey("admission.id"))
    environment: Mapped[str]
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipeline.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("evidence_session.id"))
    step: Mapped[str]
    partition: Mapped[str]
    table_name: Mapped[str]
    ref: Mapped[str]
    base: Mapped[int | None]
    candidate: Mapped[int]
    details: Mapped[dict[str, Any]]
    state: Mapped[str]
    granted_at: Mapped[datetime]
    lease_until: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class ReceiptRow(Base):
    __tablename__ = "receipt"
    __table_args__ = _options(
        UniqueConstraint("permit_id"),
        UniqueConstraint("root_run_id", "pipeline_id", "step", "partition"),
        Index(None, "session_id"), Index(None, "version_id"), Index(None, "table_name", "snapshot"),
    )  # fmt: skip
    id: Mapped[int] = _id()
    permit_id: Mapped[int | None] = mapped_column(ForeignKey("permit.id"))
    promotion_id: Mapped[int | None] = mapped_column(ForeignKey("promotion.id"))
    run_id: Mapped[str]
    root_run_id: Mapped[str]
    environment: Mapped[str]
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipeline.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("evidence_session.id"))
    step: Mapped[str]
    partition: Mapped[str]
    table_name: Mapped[str]
    ref: Mapped[str]
    base: Mapped[int | None]
    snapshot: Mapped[int]
    details: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class MaintenanceRow(Base):
    """Leave for a commit that keeps every row, such as a compaction (L15)."""

    __tablename__ = "maintenance"
    __table_args__ = _options(Index(None, "table_name", "environment"), Index(None, "state"))
    id: Mapped[int] = _id()
    environment: Mapped[str]
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipeline.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id"))
    table_name: Mapped[str]
    ref: Mapped[str]
    base: Mapped[int]
    candidate: Mapped[int]
    details: Mapped[dict[str, Any]]
    state: Mapped[str]
    granted_at: Mapped[datetime]
    granted_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    lease_until: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class PolicyRow(Base):
    """One revision of the policy of an environment, for one pipeline or (null) for all without their own."""

    __tablename__ = "policy"
    __table_args__ = _options(Index(None, "environment", "pipeline_id"))
    id: Mapped[int] = _id()
    environment: Mapped[str]
    pipeline_id: Mapped[int | None] = mapped_column(ForeignKey("pipeline.id"))
    body: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    set_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime]


class HoldRow(Base):
    """A freeze or a stop (L9), of one pipeline or (null) of a whole environment."""

    __tablename__ = "hold"
    __table_args__ = _options(Index(None, "lifted_at"))
    id: Mapped[int] = _id()
    kind: Mapped[str]
    environment: Mapped[str]
    pipeline_id: Mapped[int | None] = mapped_column(ForeignKey("pipeline.id"))
    reason: Mapped[str]
    set_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    set_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


class DriftRow(Base):
    """A head of a governed ref that no permit explains (L15), or a file that is not as it was published (L17)."""

    __tablename__ = "drift"
    __table_args__ = _options(Index(None, "pipeline_id", "environment", "state"))
    id: Mapped[int] = _id()
    environment: Mapped[str]
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipeline.id"))
    table_name: Mapped[str]
    ref: Mapped[str]
    expected: Mapped[int | None]
    found: Mapped[int | None]
    state: Mapped[str]
    reason: Mapped[str]
    found_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    executor: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(server_default="")
    file: Mapped[str | None]
    why: Mapped[str] = mapped_column(server_default="")
    seal: Mapped[str | None]
