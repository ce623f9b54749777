"""The ledger's tables, as its migrations leave them."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

PINS = sa.Table(
    "pins",
    METADATA,
    sa.Column("run_key", sa.String, primary_key=True),
    sa.Column("epoch", sa.String, primary_key=True),
    sa.Column("node", sa.String, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)

# One process that executes one run. A run that is started again somewhere else has two.
EXECUTIONS = sa.Table(
    "executions",
    METADATA,
    sa.Column("execution", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, nullable=False, index=True),
    sa.Column("run_key", sa.String, nullable=False, index=True),
    sa.Column("place", sa.String),  # where `pid` means something; null: noted by DRLS 0.1.0, see `host`
    sa.Column("host", sa.String, nullable=False),  # for people
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("until", sa.Float),  # by the database's clock; null: it sends no heartbeat
    sa.Column("dead", sa.Float),  # when it was taken for dead: it publishes nothing from then on
)

BRANCHES = sa.Table(
    "branches",
    METADATA,
    sa.Column("branch", sa.String, primary_key=True),
    sa.Column("table_name", sa.String, primary_key=True),
    sa.Column("run_key", sa.String, nullable=False),
    sa.Column("session_id", sa.String, nullable=False),
    sa.Column("engine_id", sa.String, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("state", sa.String, nullable=False),  # open | failed_check
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("execution", sa.String),  # null: noted by DRLS 0.1.0
)

# Stored as `receipts`, which is the lifecycle's word for another thing.
PUBLISHES = sa.Table(
    "receipts",
    METADATA,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("table_uuid", sa.String, nullable=False, index=True),
    sa.Column("ref", sa.String, nullable=False),
    sa.Column("snapshot_id", sa.BigInteger, nullable=False),
    sa.Column("run_key", sa.String, nullable=False),
    sa.Column("step", sa.String, nullable=False),
    sa.Column("partitions", sa.String, nullable=False),
    sa.Column("positions", sa.JSON, nullable=False),  # source table uuid -> snapshot id; id of a topic -> offsets
    sa.Column("at", sa.Float, nullable=False),
)

OUTPUTS = sa.Table(
    "outputs",
    METADATA,
    sa.Column("run_key", sa.String, primary_key=True),
    sa.Column("node", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)

CHECK_RESULTS = sa.Table(
    "check_results",
    METADATA,
    sa.Column("run_key", sa.String, primary_key=True),
    sa.Column("node", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),  # the recipe that they looked at
    sa.Column("results", sa.JSON, nullable=False),
)

# What a run tells people of itself; no rule reads it.
TOLD = sa.Table(
    "told",
    METADATA,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("node", sa.String, primary_key=True),
    sa.Column("topic", sa.String, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
    sa.Column("at", sa.Float, nullable=False, index=True),
)

_IS_LIVE = sa.text("state IN ('queued', 'running')")
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")

# What somebody asked to be done to a table.
OPERATIONS = sa.Table(
    "operations",
    METADATA,
    sa.Column("id", _SEQUENCE, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("table_name", sa.String, nullable=False, index=True),
    sa.Column("ref", sa.String, nullable=False),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("plan", sa.JSON),
    sa.Column("pipeline", sa.String),  # whose permits it publishes under; null: it needs none
    sa.Column("asked_by", sa.String, nullable=False),
    sa.Column("actor", sa.JSON, nullable=False),
    sa.Column("state", sa.String, nullable=False),  # queued | running | done | failed | cancelled
    sa.Column("progress", sa.JSON),
    sa.Column("result", sa.JSON),
    sa.Column("error", sa.String),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
    sa.Column("cancelling", sa.Boolean, nullable=False),
    sa.Column("place", sa.String),  # where `pid` means something; null: no process has it yet
    sa.Column("host", sa.String, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("until", sa.Float, nullable=False),  # its heartbeat, by the database's clock
    sa.Index("ix_operations_live", "table_name", unique=True, sqlite_where=_IS_LIVE, postgresql_where=_IS_LIVE),
)

# What an operation wrote down before it did it. A settled note is deleted.
OPERATION_NOTES = sa.Table(
    "operation_notes",
    METADATA,
    sa.Column("id", _SEQUENCE, primary_key=True, autoincrement=True),
    sa.Column("operation", sa.BigInteger, nullable=False),
    sa.Column("table_name", sa.String, nullable=False, index=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)

# The last look at each table, for people: reading the table again gives the same.
HEALTH = sa.Table(
    "table_health",
    METADATA,
    sa.Column("table_name", sa.String, primary_key=True),
    sa.Column("state", sa.String, nullable=False),  # the place of its metadata then
    sa.Column("rules", sa.String, nullable=False),  # the digest of what it was judged by
    sa.Column("at", sa.Float, nullable=False, index=True),
    sa.Column("report", sa.JSON, nullable=False),
)

HEALTH_HISTORY = sa.Table(
    "table_health_history",
    METADATA,
    sa.Column("table_name", sa.String, primary_key=True),
    sa.Column("at", sa.Float, primary_key=True, index=True),
    sa.Column("mark", sa.String, nullable=False),  # the score and what cost points: another one is news
    sa.Column("look", sa.JSON, nullable=False),
)
