"""What a token came from"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Of tokens from before it is not known: they end alone."""
    op.add_column("token", sa.Column("issued_from", _KEY, nullable=True))
    op.create_index(op.f("ix_token_issued_from"), "token", ["issued_from"], unique=False)
