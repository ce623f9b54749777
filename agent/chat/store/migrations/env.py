"""Alembic's entry: runs the migrations on the connection that `Migrations.upgrade` holds."""

from __future__ import annotations

from alembic import context

from agent.chat.store.tables import METADATA

given = context.config.attributes
context.configure(
    connection=given["connection"], target_metadata=METADATA, transactional_ddl=False, **given.get("options", {})
)
context.run_migrations()
