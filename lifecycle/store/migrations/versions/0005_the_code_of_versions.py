"""The code of versions"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Versions from before keep none; their code stays where it was."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "code_file",
        sa.Column("id", key, autoincrement=True, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_file")),
        sa.UniqueConstraint("digest", name=op.f("uq_code_file_digest")),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER code_file_no_{verb.lower()} BEFORE {verb} ON code_file "
                f"BEGIN SELECT RAISE(ABORT, 'rows of code_file are final: {verb} refused'); END"
            )
    else:
        op.execute(
            "CREATE TRIGGER code_file_final BEFORE UPDATE OR DELETE ON code_file "
            "FOR EACH ROW EXECUTE FUNCTION drls_refuse()"
        )
        op.execute(
            "CREATE TRIGGER code_file_no_truncate BEFORE TRUNCATE ON code_file "
            "FOR EACH STATEMENT EXECUTE FUNCTION drls_refuse()"
        )
