"""Who executes a run, with a heartbeat"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Older processes send no heartbeat: they are still judged by host and pid."""
    op.create_table(
        "executions",
        sa.Column("execution", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("run_key", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("until", sa.Float(), nullable=True),
        sa.Column("dead", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("execution", name="pk_executions"),
    )
    op.create_index("ix_executions_run_id", "executions", ["run_id"])
    op.create_index("ix_executions_run_key", "executions", ["run_key"])
    op.execute(
        "INSERT INTO executions (execution, run_id, run_key, host, pid, created) "
        "SELECT run_id, run_id, run_id, host, pid, created FROM processes"
    )
    op.drop_table("processes")
    op.add_column("branches", sa.Column("execution", sa.String(), nullable=True))
