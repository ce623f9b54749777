"""SQL that is compiled once for all databases of a test run.

SQLAlchemy keeps what it compiled with an engine. Nearly every test opens databases of its own, and a fifth of the lifecycle's
tests was spent on compiling the same statements again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

# Two of one of these compile alike.
DIALECTS = (SQLiteDialect_pysqlite, PGDialect_psycopg2)


@contextmanager
def compiled_once() -> Iterator[None]:
    """Let all engines of this process share one cache."""
    shared: LRUCache[Any, Any] = LRUCache(5000)

    def find(engine: Engine) -> LRUCache[Any, Any] | None:
        return shared if type(engine.dialect) in DIALECTS else engine.__dict__["cache of its own"]

    def keep(engine: Engine, cache: LRUCache[Any, Any] | None) -> None:
        engine.__dict__["cache of its own"] = cache

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "_compiled_cache", property(find, keep), raising=False)
        for dialect in DIALECTS:  # it is a part of the cache's keys
            patch.setattr(dialect, "__eq__", lambda one, other: type(one) is type(other), raising=False)
            patch.setattr(dialect, "__hash__", lambda one: hash(type(one)), raising=False)
        yield
