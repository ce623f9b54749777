"""Columns that a withdrawn version has left in a real table, taken out again (D10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyiceberg.schema import Schema

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.commit_retry import commit_with_retry
from drls_dagster.lakehouse.locating import load_if_exists
from drls_dagster.lakehouse.naming import MAIN, table_location
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.types import NestedField

# Iceberg counts the values of so many columns of a file; of further ones it is not known whether there are any.
_COUNTED = 100


def drop_columns(catalog: Catalog, name: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Takes optional columns out of the real table, but for those that main has a value in; which it has no longer.

    Data files stay as they are. A column by which the table is partitioned or sorted stays too. Whoever was killed
    after it gets the same answer again.
    """
    location = table_location(Environment.PRODUCTION, name)

    def attempt() -> tuple[str, ...]:
        table = load_if_exists(catalog, location.identifier)
        if table is None:
            return tuple(columns)
        wanted = {column.lower() for column in columns}
        there = [field for field in table.schema().fields if field.name.lower() in wanted]
        gone = [field for field in there if _may_go(table, field)]
        if gone:
            with table.update_schema() as update:
                for field in gone:
                    update.delete_column((field.name,))
        left = {field.name.lower() for field in there if field not in gone}
        return tuple(column for column in columns if column.lower() not in left)

    return commit_with_retry(attempt, what=f"schema of {location.name}")


def _may_go(table: Table, field: NestedField) -> bool:
    in_layout = {part.source_id for spec in table.specs().values() for part in spec.fields}
    in_layout |= {part.source_id for order in table.sort_orders().values() for part in order.fields}
    ids = {field.field_id, *Schema(field).field_ids}
    return not field.required and not ids & in_layout and not _has_values(table, ids)


def _has_values(table: Table, ids: set[int]) -> bool:
    """Whether a file of main has a value in one of these columns, or may have one."""
    head = refs.head(table, MAIN)
    if head is None:
        return False
    if len(table.schema().field_ids) > _COUNTED:
        return True
    for task in table.scan(snapshot_id=head).plan_files():
        values, nulls = task.file.value_counts or {}, task.file.null_value_counts or {}
        if not values or any(values.get(one, 0) > nulls.get(one, 0) for one in ids):
            return True
    return False
