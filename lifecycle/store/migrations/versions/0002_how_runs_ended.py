"""How runs ended"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """For older runs it is unknown; it is recorded once and stays."""
    op.add_column("admission", sa.Column("outcome", sa.Text(), nullable=True))
    op.create_index(
        "runs_without_outcome",
        "admission",
        ["ended_at"],
        unique=False,
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER admission_outcome_once BEFORE UPDATE ON admission "
            "WHEN OLD.outcome IS NOT NULL AND NEW.outcome IS NOT OLD.outcome "
            "BEGIN SELECT RAISE(ABORT, 'how a run ended is final: UPDATE refused'); END"
        )
    else:
        op.execute(
            "CREATE TRIGGER admission_outcome_once BEFORE UPDATE ON admission FOR EACH ROW "
            "WHEN (OLD.outcome IS NOT NULL AND NEW.outcome IS DISTINCT FROM OLD.outcome) "
            "EXECUTE FUNCTION drls_refuse()"
        )
