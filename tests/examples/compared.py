"""Tables and queries as lists of rows, compared value by value."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.naming import table_location
from drls_dagster.settings import Settings


def rows_of(settings: Settings, table: str, keys: list[str], environment: str = "development") -> list[dict[str, Any]]:
    """What an environment sees of a table, sorted by its keys."""
    location = table_location(environment, table)
    found = load_catalog(settings).load_table(location.identifier).scan().use_ref(location.ref).to_arrow()
    return found.sort_by([(key, "ascending") for key in keys]).to_pylist()


def expected(database: duckdb.DuckDBPyConnection, sql: str, keys: list[str]) -> list[dict[str, Any]]:
    """What DuckDB answers, sorted the same way."""
    found = database.sql(sql).to_arrow_table()
    return found.sort_by([(key, "ascending") for key in keys]).to_pylist()


def assert_same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Row by row and column by column; floats to 1e-9 of their size."""
    assert len(found) == len(wanted)
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            assert _equal(value, theirs[name]), f"{name}: {value!r}, wanted {theirs[name]!r}, in {mine}"


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, float) and wanted is not None:
        return math.isclose(value, wanted, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(value, str | int | date | Decimal | None):
        return value == wanted
    raise AssertionError(f"a value of type {type(value).__name__} is not expected")
