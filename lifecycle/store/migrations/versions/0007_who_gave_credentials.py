"""Who gave somebody else's account a credential"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was given before is not known here; it is in the audit log."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "hand",
        sa.Column("id", key, autoincrement=True, nullable=False),
        sa.Column("account", key, nullable=False),
        sa.Column("person", key, nullable=False),
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("token_id", key, nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["person.id"], name="fk_hand_account"),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name="fk_hand_person"),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name="fk_hand_token_id"),
        sa.PrimaryKeyConstraint("id", name="pk_hand"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_hand_account", "hand", ["account"], unique=False)
