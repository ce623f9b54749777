"""Agents of people"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody had an agent before; what was issued asks for nothing new."""
    op.add_column("person", sa.Column("agent", sa.Text(), nullable=True))
    op.create_index(op.f("ix_person_acts_for_agent"), "person", ["acts_for", "agent"], unique=True)
    op.add_column("token", sa.Column("unattended", sa.Boolean(), nullable=True))
