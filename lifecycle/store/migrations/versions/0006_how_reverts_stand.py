"""The state of reverts of drift"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Who moves a ref back, until when, and what that waits for; nothing is being reverted now."""
    op.add_column("drift", sa.Column("executor", sa.Text(), nullable=True))
    op.add_column("drift", sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("drift", sa.Column("outcome", sa.Text(), nullable=False, server_default=""))
