"""Where the refs of a promotion moved from"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Of what executes while it is upgraded nothing is noted: that goes back to the approved base, as before."""
    op.add_column("journal", sa.Column("base", _KEY, nullable=True))
