"""The tables of DRLS 0.1.0, which had no migrations: where they are already, they stay as they are"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from lifecycle.errors import StoreError

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for table in _tables():
        if not sa.inspect(connection).has_table(table.name):
            table.create(connection)
            continue
        there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
        missing = [column.name for column in table.columns if column.name not in there]
        if missing:
            raise StoreError(
                f"{connection.engine.url.database} has a table {table.name} that is not DRLS's (no {missing[0]}); "
                "move the file away, and the next run makes a new one"
            )


def _tables() -> list[sa.Table]:
    made = sa.MetaData()
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

    def table(name: str, *columns: sa.Column[Any]) -> None:
        sa.Table(name, made, *columns)

    def key(name: str) -> sa.Column[Any]:
        return sa.Column(name, sa.String(), primary_key=True)

    def column(name: str, kind: Any, *, index: bool = False) -> sa.Column[Any]:
        return sa.Column(name, kind, nullable=False, index=index)

    text, real, json = sa.String(), sa.Float(), sa.JSON()
    table("pins", key("run_key"), key("epoch"), key("node"), column("value", json))
    table(
        "branches",
        key("branch"),
        key("table_name"),
        *(column(name, text) for name in ("run_key", "session_id", "engine_id", "host")),
        column("pid", sa.Integer()),
        column("created", real),
        column("state", text),
        column("at", real),
    )
    table(
        "receipts",
        sa.Column("seq", number, primary_key=True, autoincrement=True),
        column("table_uuid", text, index=True),
        column("ref", text),
        column("snapshot_id", sa.BigInteger()),
        *(column(name, text) for name in ("run_key", "step", "partitions")),
        column("positions", json),
        column("at", real),
    )
    table("outputs", key("run_key"), key("node"), key("key"), column("files", json), column("at", real))
    table("check_results", key("run_key"), key("node"), key("key"), column("results", json))
    table("processes", key("run_id"), column("host", text), column("pid", sa.Integer()), column("created", real))
    return list(made.tables.values())
