"""Alembic's entry: runs the migrations on the connection that `schema.upgrade` holds."""

from __future__ import annotations

from alembic import context

import lifecycle.store.tables_people
from lifecycle.store.tables import Base

assert lifecycle.store.tables_people.PersonRow.metadata is Base.metadata  # noqa: S101 (both modules are loaded)

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, transactional_ddl=False
)
context.run_migrations()
