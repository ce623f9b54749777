"""Maintenance permits and drift of files"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What drifted before was a head; a compaction from before has no permit, and is found at the next look."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "maintenance",
        sa.Column("id", key, autoincrement=True, nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("pipeline_id", key, nullable=False),
        sa.Column("version_id", key, nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("base", key, nullable=False),
        sa.Column("candidate", key, nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("granted_at", moment, nullable=False),
        sa.Column("granted_by", key, nullable=True),
        sa.Column("lease_until", moment, nullable=False),
        sa.Column("closed_at", moment, nullable=True),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name=op.f("fk_maintenance_pipeline_id")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_maintenance_version_id")),
        sa.ForeignKeyConstraint(["granted_by"], ["person.id"], name=op.f("fk_maintenance_granted_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_maintenance_table_name_environment"), "maintenance", ["table_name", "environment"])
    op.create_index(op.f("ix_maintenance_state"), "maintenance", ["state"])
    op.add_column("drift", sa.Column("file", sa.Text(), nullable=True))
    op.add_column("drift", sa.Column("why", sa.Text(), nullable=False, server_default=""))
    op.add_column("drift", sa.Column("seal", sa.Text(), nullable=True))
