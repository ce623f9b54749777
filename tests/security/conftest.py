"""The lifecycle's small world, for attacks on it."""

from __future__ import annotations

from tests.lifecycle.conftest import (
    clock,
    database,
    life,
    postgres,
    postgres_people,
    postgres_template,
    signing_key,
    sqlite_people,
    sqlite_template,
    store,
    store_url,
)

__all__ = [
    "clock",
    "database",
    "life",
    "postgres",
    "postgres_people",
    "postgres_template",
    "signing_key",
    "sqlite_people",
    "sqlite_template",
    "store",
    "store_url",
]
