"""The first schema"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lifecycle.store.migrations.triggers_0001 import trigger_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("sequence", _KEY, autoincrement=False, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("actor", sa.JSON(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_hash")),
        sa.UniqueConstraint("previous", name=op.f("uq_audit_previous")),
    )
    op.create_index(op.f("ix_audit_subject"), "audit", ["subject"], unique=False)
    op.create_index(op.f("ix_audit_verb"), "audit", ["verb"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column("id", _KEY, autoincrement=False, nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("sequence", _KEY, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "done",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_done")),
        sa.UniqueConstraint("actor", "key", name=op.f("uq_done_actor_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outbox",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", _KEY, nullable=False),
        sa.Column("next_at", _INSTANT, nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_outbox_state_next_at"), "outbox", ["state", "next_at"], unique=False)
    op.create_table(
        "person",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("acts_for", _KEY, nullable=True),
        sa.Column("access_epoch", _KEY, nullable=False),
        sa.Column("disabled_at", _INSTANT, nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["acts_for"], ["person.id"], name=op.f("fk_person_acts_for")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("name", name=op.f("uq_person_name")),
        sa.UniqueConstraint("subject", name=op.f("uq_person_subject")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("revision", _KEY, nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sign_in_attempt",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("succeeded", sa.Boolean(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_attempt")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_sign_in_attempt_account_at"), "sign_in_attempt", ["account", "at"], unique=False)
    op.create_index(op.f("ix_sign_in_attempt_host_at"), "sign_in_attempt", ["host", "at"], unique=False)
    op.create_table(
        "team",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team")),
        sa.UniqueConstraint("name", name=op.f("uq_team_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "access_grant",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("person_id", _KEY, nullable=True),
        sa.Column("team_id", _KEY, nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("scope_value", sa.Text(), nullable=False),
        sa.Column("granted_by", _KEY, nullable=True),
        sa.Column("granted_at", _INSTANT, nullable=False),
        sa.Column("revoked_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["granted_by"], ["person.id"], name=op.f("fk_access_grant_granted_by")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_access_grant_person_id")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_access_grant_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_grant")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_access_grant_person_id"), "access_grant", ["person_id"], unique=False)
    op.create_index(op.f("ix_access_grant_team_id"), "access_grant", ["team_id"], unique=False)
    op.create_table(
        "membership",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("team_id", _KEY, nullable=False),
        sa.Column("person_id", _KEY, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_membership_person_id")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_membership_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_membership")),
        sa.UniqueConstraint("team_id", "person_id", name=op.f("uq_membership_team_id_person_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "pipeline",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("created_by", _KEY, nullable=True),
        sa.Column("deleted_at", _INSTANT, nullable=True),
        sa.Column("deleted_by", _KEY, nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_pipeline_created_by")),
        sa.ForeignKeyConstraint(["deleted_by"], ["person.id"], name=op.f("fk_pipeline_deleted_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipeline")),
        sa.UniqueConstraint("name", name=op.f("uq_pipeline_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "token",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("person_id", _KEY, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("used_at", _INSTANT, nullable=True),
        sa.Column("revoked_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_token_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_token_secret_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_token_person_id"), "token", ["person_id"], unique=False)
    op.create_table(
        "drift",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("pipeline_id", _KEY, nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("expected", _KEY, nullable=True),
        sa.Column("found", _KEY, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("found_at", _INSTANT, nullable=False),
        sa.Column("closed_at", _INSTANT, nullable=True),
        sa.Column("closed_by", _KEY, nullable=True),
        sa.ForeignKeyConstraint(["closed_by"], ["person.id"], name=op.f("fk_drift_closed_by")),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name=op.f("fk_drift_pipeline_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_drift_pipeline_id_environment_state"),
        "drift",
        ["pipeline_id", "environment", "state"],
        unique=False,
    )
    op.create_table(
        "hold",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("pipeline_id", _KEY, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", _KEY, nullable=True),
        sa.Column("set_at", _INSTANT, nullable=False),
        sa.Column("lifted_at", _INSTANT, nullable=True),
        sa.Column("lifted_by", _KEY, nullable=True),
        sa.ForeignKeyConstraint(["lifted_by"], ["person.id"], name=op.f("fk_hold_lifted_by")),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name=op.f("fk_hold_pipeline_id")),
        sa.ForeignKeyConstraint(["set_by"], ["person.id"], name=op.f("fk_hold_set_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_hold_lifted_at"), "hold", ["lifted_at"], unique=False)
    op.create_table(
        "policy",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("pipeline_id", _KEY, nullable=True),
        sa.Column("body", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("set_by", _KEY, nullable=True),
        sa.Column("at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name=op.f("fk_policy_pipeline_id")),
        sa.ForeignKeyConstraint(["set_by"], ["person.id"], name=op.f("fk_policy_set_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_policy_environment_pipeline_id"), "policy", ["environment", "pipeline_id"], unique=False)
    op.create_table(
        "version",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("pipeline_id", _KEY, nullable=False),
        sa.Column("number", _KEY, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("parent_id", _KEY, nullable=True),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("origin", sa.JSON(), nullable=False),
        sa.Column("author", _KEY, nullable=True),
        sa.Column("acted_for", _KEY, nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["acted_for"], ["person.id"], name=op.f("fk_version_acted_for")),
        sa.ForeignKeyConstraint(["author"], ["person.id"], name=op.f("fk_version_author")),
        sa.ForeignKeyConstraint(["parent_id"], ["version.id"], name=op.f("fk_version_parent_id")),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name=op.f("fk_version_pipeline_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version")),
        sa.UniqueConstraint("pipeline_id", "digest", name=op.f("uq_version_pipeline_id_digest")),
        sa.UniqueConstraint("pipeline_id", "number", name=op.f("uq_version_pipeline_id_number")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_version_digest"), "version", ["digest"], unique=False)
    op.create_table(
        "evidence_session",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("pipeline_id", _KEY, nullable=False),
        sa.Column("version_id", _KEY, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("bases", sa.JSON(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("opened_at", _INSTANT, nullable=True),
        sa.Column("closed_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name=op.f("fk_evidence_session_pipeline_id")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_evidence_session_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence_session")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_evidence_session_pipeline_id_environment"),
        "evidence_session",
        ["pipeline_id", "environment"],
        unique=False,
    )
    op.create_table(
        "promotion",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("revision", _KEY, nullable=False),
        sa.Column("pipeline_id", _KEY, nullable=False),
        sa.Column("version_id", _KEY, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("policy_id", _KEY, nullable=True),
        sa.Column("requested_by", _KEY, nullable=True),
        sa.Column("acted_for", _KEY, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("refresh_of", _KEY, nullable=True),
        sa.Column("requested_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("approved_at", _INSTANT, nullable=True),
        sa.Column("finished_at", _INSTANT, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("executor", sa.Text(), nullable=True),
        sa.Column("lease_until", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["acted_for"], ["person.id"], name=op.f("fk_promotion_acted_for")),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name=op.f("fk_promotion_pipeline_id")),
        sa.ForeignKeyConstraint(["policy_id"], ["policy.id"], name=op.f("fk_promotion_policy_id")),
        sa.ForeignKeyConstraint(["refresh_of"], ["promotion.id"], name=op.f("fk_promotion_refresh_of")),
        sa.ForeignKeyConstraint(["requested_by"], ["person.id"], name=op.f("fk_promotion_requested_by")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_promotion_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_promotion_pipeline_id_target"), "promotion", ["pipeline_id", "target"], unique=False)
    op.create_index(op.f("ix_promotion_state"), "promotion", ["state"], unique=False)
    op.create_index(op.f("ix_promotion_version_id"), "promotion", ["version_id"], unique=False)
    op.create_table(
        "saved",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("version_id", _KEY, nullable=False),
        sa.Column("parent_id", _KEY, nullable=True),
        sa.Column("person", _KEY, nullable=True),
        sa.Column("acted_for", _KEY, nullable=True),
        sa.Column("at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["acted_for"], ["person.id"], name=op.f("fk_saved_acted_for")),
        sa.ForeignKeyConstraint(["parent_id"], ["version.id"], name=op.f("fk_saved_parent_id")),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_saved_person")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_saved_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_saved_version_id"), "saved", ["version_id"], unique=False)
    op.create_table(
        "sink_table",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("version_id", _KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_sink_table_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sink_table")),
        sa.UniqueConstraint("version_id", "name", name=op.f("uq_sink_table_version_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_sink_table_name"), "sink_table", ["name"], unique=False)
    op.create_table(
        "admission",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("root_run_id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("pipeline_id", _KEY, nullable=False),
        sa.Column("version_id", _KEY, nullable=False),
        sa.Column("session_id", _KEY, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("way_in", sa.Text(), nullable=False),
        sa.Column("admitted_by", _KEY, nullable=True),
        sa.Column("admitted_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["admitted_by"], ["person.id"], name=op.f("fk_admission_admitted_by")),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name=op.f("fk_admission_pipeline_id")),
        sa.ForeignKeyConstraint(["session_id"], ["evidence_session.id"], name=op.f("fk_admission_session_id")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_admission_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admission")),
        sa.UniqueConstraint("run_id", "pipeline_id", name=op.f("uq_admission_run_id_pipeline_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_admission_pipeline_id_environment_state"),
        "admission",
        ["pipeline_id", "environment", "state"],
        unique=False,
    )
    op.create_index(
        "one_running_run",
        "admission",
        ["environment", "pipeline_id"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "comment",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("promotion_id", _KEY, nullable=False),
        sa.Column("person", _KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_comment_person")),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotion.id"], name=op.f("fk_comment_promotion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comment")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_comment_promotion_id"), "comment", ["promotion_id"], unique=False)
    op.create_table(
        "decision",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("promotion_id", _KEY, nullable=False),
        sa.Column("person", _KEY, nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("teams", sa.JSON(), nullable=False),
        sa.Column("own_work", sa.Boolean(), nullable=False),
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_decision_person")),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotion.id"], name=op.f("fk_decision_promotion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint("promotion_id", "person", "verdict", name=op.f("uq_decision_promotion_id_person_verdict")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "deployment",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("pipeline_id", _KEY, nullable=False),
        sa.Column("version_id", _KEY, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("promotion_id", _KEY, nullable=True),
        sa.Column("deployed_digest", sa.Text(), nullable=False),
        sa.Column("started_at", _INSTANT, nullable=False),
        sa.Column("started_by", _KEY, nullable=True),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("ended_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name=op.f("fk_deployment_pipeline_id")),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotion.id"], name=op.f("fk_deployment_promotion_id")),
        sa.ForeignKeyConstraint(["started_by"], ["person.id"], name=op.f("fk_deployment_started_by")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_deployment_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_deployment_pipeline_id_environment_started_at"),
        "deployment",
        ["pipeline_id", "environment", "started_at"],
        unique=False,
    )
    op.create_index(op.f("ix_deployment_version_id"), "deployment", ["version_id"], unique=False)
    op.create_index(
        "one_active_version",
        "deployment",
        ["environment", "pipeline_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "journal",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("promotion_id", _KEY, nullable=False),
        sa.Column("position", _KEY, nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotion.id"], name=op.f("fk_journal_promotion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        sa.UniqueConstraint("promotion_id", "position", name=op.f("uq_journal_promotion_id_position")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "permit",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("admission_id", _KEY, nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("pipeline_id", _KEY, nullable=False),
        sa.Column("version_id", _KEY, nullable=False),
        sa.Column("session_id", _KEY, nullable=True),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("base", _KEY, nullable=True),
        sa.Column("candidate", _KEY, nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("granted_at", _INSTANT, nullable=False),
        sa.Column("lease_until", _INSTANT, nullable=False),
        sa.Column("closed_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["admission_id"], ["admission.id"], name=op.f("fk_permit_admission_id")),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name=op.f("fk_permit_pipeline_id")),
        sa.ForeignKeyConstraint(["session_id"], ["evidence_session.id"], name=op.f("fk_permit_session_id")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_permit_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permit")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_permit_admission_id"), "permit", ["admission_id"], unique=False)
    op.create_index(
        op.f("ix_permit_pipeline_id_environment_state"),
        "permit",
        ["pipeline_id", "environment", "state"],
        unique=False,
    )
    op.create_table(
        "receipt",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("permit_id", _KEY, nullable=True),
        sa.Column("promotion_id", _KEY, nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("root_run_id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("pipeline_id", _KEY, nullable=False),
        sa.Column("version_id", _KEY, nullable=False),
        sa.Column("session_id", _KEY, nullable=True),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("base", _KEY, nullable=True),
        sa.Column("snapshot", _KEY, nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["permit_id"], ["permit.id"], name=op.f("fk_receipt_permit_id")),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name=op.f("fk_receipt_pipeline_id")),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotion.id"], name=op.f("fk_receipt_promotion_id")),
        sa.ForeignKeyConstraint(["session_id"], ["evidence_session.id"], name=op.f("fk_receipt_session_id")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_receipt_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt")),
        sa.UniqueConstraint("permit_id", name=op.f("uq_receipt_permit_id")),
        sa.UniqueConstraint(
            "root_run_id",
            "pipeline_id",
            "step",
            "partition",
            name=op.f("uq_receipt_root_run_id_pipeline_id_step_partition"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_receipt_session_id"), "receipt", ["session_id"], unique=False)
    op.create_index(op.f("ix_receipt_table_name_snapshot"), "receipt", ["table_name", "snapshot"], unique=False)
    op.create_index(op.f("ix_receipt_version_id"), "receipt", ["version_id"], unique=False)
    for statement in trigger_statements(op.get_bind().dialect.name):
        op.execute(statement)
