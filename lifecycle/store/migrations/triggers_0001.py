"""Triggers that make the database itself refuse changes of what is final (DESIGN §2).

The SQL is part of the migrations: changing it here needs a new one.
"""

from __future__ import annotations

from collections.abc import Iterator

FINAL = ("version", "saved", "sink_table", "decision", "comment", "receipt", "policy", "audit")
# These rows end once; everything that says what happened stays as it was written.
ENDING = {
    "deployment": (
        "environment", "pipeline_id", "version_id", "reason", "label", "promotion_id", "deployed_digest",
        "started_at",
    ),
    "promotion": (
        "pipeline_id", "version_id", "target", "plan_digest", "policy_id", "requested_by", "acted_for",
        "expires_at",
    ),
    "permit": ("admission_id", "version_id", "environment", "table_name", "ref", "base", "candidate", "step"),
    "admission": ("run_id", "root_run_id", "version_id", "environment", "pipeline_id"),
}  # fmt: skip


def trigger_statements(dialect: str) -> Iterator[str]:
    """The statements that create all triggers on `sqlite` or `postgresql`."""
    if dialect == "sqlite":
        yield from _sqlite()
    else:
        yield from _postgresql()


def _sqlite() -> Iterator[str]:
    for table in FINAL:
        for verb in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are final: {verb} refused'); END"
            )
    for table, columns in ENDING.items():
        changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in columns)
        yield (
            f"CREATE TRIGGER {table}_no_rewrite BEFORE UPDATE ON {table} WHEN {changed} "
            f"BEGIN SELECT RAISE(ABORT, 'what a {table} says is final: UPDATE refused'); END"
        )
        yield (
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are kept: DELETE refused'); END"
        )


def _postgresql() -> Iterator[str]:
    yield (
        "CREATE FUNCTION drls_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'rows of % are final: % refused', TG_TABLE_NAME, TG_OP; END $$"
    )
    for table in FINAL:
        yield _refusing(table, "UPDATE OR DELETE", "final")
    for table, columns in ENDING.items():
        changed = " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in columns)
        yield (
            f"CREATE TRIGGER {table}_no_rewrite BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN ({changed}) EXECUTE FUNCTION drls_refuse()"
        )
        yield _refusing(table, "DELETE", "kept")
    for table in (*FINAL, *ENDING):
        yield (
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION drls_refuse()"
        )


def _refusing(table: str, verbs: str, name: str) -> str:
    return f"CREATE TRIGGER {table}_{name} BEFORE {verbs} ON {table} FOR EACH ROW EXECUTE FUNCTION drls_refuse()"
