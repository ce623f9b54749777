"""People, credentials, the audit log and the outbox: the tables that every verb shares."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lifecycle.store.tables import Base


def _id() -> Mapped[int]:
    return mapped_column(primary_key=True, autoincrement=True)


class PersonRow(Base):
    """A person, or what acts for one (`kind`): a service account, or an agent, which the person calls `agent`."""

    __tablename__ = "person"
    __table_args__ = (Index(None, "acts_for", "agent", unique=True), {"sqlite_autoincrement": True})
    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    display_name: Mapped[str]
    email: Mapped[str | None]
    email_verified: Mapped[bool]
    password_hash: Mapped[str | None]
    subject: Mapped[str | None] = mapped_column(unique=True)
    acts_for: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    access_epoch: Mapped[int]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    agent: Mapped[str | None]


class TeamRow(Base):
    __tablename__ = "team"
    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class MembershipRow(Base):
    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("team_id", "person_id"), {"sqlite_autoincrement": True})
    id: Mapped[int] = _id()
    team_id: Mapped[int] = mapped_column(ForeignKey("team.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


class GrantRow(Base):
    """A role for a person or a team, on everything, on a tag (`key=value`) or on a pipeline (A2)."""

    __tablename__ = "access_grant"
    __table_args__ = (Index(None, "person_id"), Index(None, "team_id"), {"sqlite_autoincrement": True})
    id: Mapped[int] = _id()
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    role: Mapped[str]
    scope: Mapped[str]
    scope_value: Mapped[str]
    granted_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    granted_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class TokenRow(Base):
    """A personal token, a browser session or a one-time sign-in link; only the hash is kept."""

    __tablename__ = "token"
    __table_args__ = (Index(None, "person_id"), Index(None, "issued_from"), {"sqlite_autoincrement": True})
    id: Mapped[int] = _id()
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str]
    name: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    issued_from: Mapped[int | None]
    unattended: Mapped[bool | None]


class HandRow(Base):
    """Who gave an account of somebody else a credential (`credential`), and until when it works: a token's own end
    where it is one, else `until` (null: until the owner replaces it)."""

    __tablename__ = "hand"
    __table_args__ = (Index(None, "account"), {"sqlite_autoincrement": True})
    id: Mapped[int] = _id()
    account: Mapped[int] = mapped_column(ForeignKey("person.id"))
    person: Mapped[int] = mapped_column(ForeignKey("person.id"))
    credential: Mapped[str]
    token_id: Mapped[int | None] = mapped_column(ForeignKey("token.id"))
    at: Mapped[datetime]
    until: Mapped[datetime | None]


class SignInAttemptRow(Base):
    """Counts guesses at passwords, and is cut back; `host` is the client's address, or a browser that is known.

    The audit log would grow with every guess of a stranger, so that these rows are not in it.
    """

    __tablename__ = "sign_in_attempt"
    __table_args__ = (
        Index(None, "account", "at"),
        Index(None, "host", "at"),
        {"sqlite_autoincrement": True, "info": {"audited": False}},
    )
    id: Mapped[int] = _id()
    account: Mapped[str]
    host: Mapped[str]
    succeeded: Mapped[bool]
    at: Mapped[datetime]


class SettingRow(Base):
    """Settings that belong to the store: its identity, public keys, the secrets that sign sessions."""

    __tablename__ = "setting"
    name: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int]
    value: Mapped[dict[str, Any]]


class DoneRow(Base):
    """What a keyed command answered, so that repeating it answers the same and does nothing."""

    __tablename__ = "done"
    __table_args__ = (UniqueConstraint("actor", "key"), {"sqlite_autoincrement": True})
    id: Mapped[int] = _id()
    actor: Mapped[str]
    key: Mapped[str]
    verb: Mapped[str]
    command: Mapped[str]
    answer: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class OutboxRow(Base):
    """A notification, written with the change that it tells about and delivered later."""

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "state", "next_at"), {"sqlite_autoincrement": True})
    id: Mapped[int] = _id()
    event: Mapped[str]
    receiver: Mapped[str]
    body: Mapped[dict[str, Any]]
    state: Mapped[str]
    attempts: Mapped[int]
    next_at: Mapped[datetime]
    last_error: Mapped[str]
    created_at: Mapped[datetime]


class AuditRow(Base):
    __tablename__ = "audit"
    __table_args__ = (Index(None, "subject"), Index(None, "verb"))
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[dict[str, Any]]
    verb: Mapped[str]
    subject: Mapped[str]
    body: Mapped[dict[str, Any]]
    previous: Mapped[str] = mapped_column(unique=True)
    hash: Mapped[str] = mapped_column(unique=True)
    rows: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class AuditHeadRow(Base):
    """The one row that every write transaction locks first and signs last (A3)."""

    __tablename__ = "audit_head"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    log: Mapped[str]
    sequence: Mapped[int]
    hash: Mapped[str]
    key_id: Mapped[str]
    signature: Mapped[str]
