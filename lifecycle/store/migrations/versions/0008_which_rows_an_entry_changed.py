"""Which rows an entry changed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Older entries name none; the entry that follows every upgrade (baseline) records what the rows are now."""
    op.add_column("audit", sa.Column("rows", sa.JSON(), nullable=True))
