"""How tables were when somebody looked"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "table_health",
        sa.Column("table_name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rules", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", name="pk_table_health"),
    )
    op.create_index("ix_table_health_at", "table_health", ["at"])
    op.create_table(
        "table_health_history",
        sa.Column("table_name", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("look", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "at", name="pk_table_health_history"),
    )
    op.create_index("ix_table_health_history_at", "table_health_history", ["at"])
