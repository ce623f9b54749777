"""A table whose columns change to types that Iceberg has no evolution for, for a run that writes it anew as a whole.

Such a column is dropped and added again, which every reader sees at once, and before anything is published: until
then all its values are null. So the table remembers how it was, publishing forgets that in the commit that moves the
ref, and a run that does not get so far puts the schema back; for a run that was killed, the next one does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyiceberg.table.update import (
    AssertCurrentSchemaId,
    RemovePropertiesUpdate,
    SetCurrentSchemaUpdate,
    SetDefaultSortOrderUpdate,
    SetDefaultSpecUpdate,
    TableRequirement,
    TableUpdate,
)

from drls_dagster.lakehouse.commit_retry import commit_with_retry
from drls_dagster.lakehouse.layout import PARTITIONS, SORT_ORDER, LayoutChange, parsed_field, present, stage
from drls_dagster.lakehouse.reread import Reread, load_again

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table, Transaction

REBUILD = "drls.rebuild"  # table property: ids of the schema, partition spec and sort order before, as JSON


def replace_columns(table: Table, names: Sequence[str], frame: Schema) -> None:
    """Gives the columns `names` the types that they have in `frame`, in one commit; their values are null then."""
    by_name = {column.name.lower(): column for column in frame.fields}
    before = table.metadata
    was = [before.current_schema_id, before.default_spec_id, before.default_sort_order_id]
    with table.transaction() as transaction:
        _lay_out_without(transaction, names)
        with transaction.update_schema(allow_incompatible_changes=True) as update:
            for name in names:
                update.delete_column((name,))
        with transaction.update_schema(allow_incompatible_changes=True) as update:
            for name in names:
                update.add_column((by_name[name.lower()].name,), by_name[name.lower()].field_type)
        transaction.set_properties({REBUILD: json.dumps(was)})


def _lay_out_without(transaction: Transaction, names: Sequence[str]) -> None:
    """Takes the columns out of partitioning and sort order, which the sink's own layout puts back."""
    changes: list[LayoutChange] = []
    for what in (PARTITIONS, SORT_ORDER):
        was = present(transaction.table_metadata, what)
        assert isinstance(was, tuple), "a layout is a list of fields"  # noqa: S101
        left = tuple(text for text in was if parsed_field(text.removesuffix(" desc"))[0] not in names)
        if left != was:
            changes.append(LayoutChange(what, was, left))
    stage(transaction, changes)


def put_back(catalog: Catalog, table: Table) -> Table:
    """The table as it was before a rebuild that was not published; unchanged if there was no such rebuild."""
    if REBUILD not in table.properties:
        return table

    def attempt() -> Table:
        fresh = load_again(catalog, table, Reread.PUT_BACK)
        if REBUILD in fresh.properties:
            schema, spec, order = json.loads(fresh.properties[REBUILD])
            updates: tuple[TableUpdate, ...] = (
                SetCurrentSchemaUpdate.model_validate({"schema-id": schema}),
                SetDefaultSpecUpdate.model_validate({"spec-id": spec}),
                SetDefaultSortOrderUpdate.model_validate({"sort-order-id": order}),
                RemovePropertiesUpdate(removals=[REBUILD]),
            )
            catalog.commit_table(fresh, (_schema_is(fresh.metadata.current_schema_id),), updates)
            fresh = load_again(catalog, table, Reread.PUT_BACK)
        return fresh

    return commit_with_retry(attempt, what=f"schema of {'.'.join(table.name())}")


@contextmanager
def put_back_unless_published(catalog: Catalog, table: Table, *, rebuilt: bool) -> Iterator[None]:
    """Around all that a run does with a table that is `rebuilt`: an error puts it back."""
    try:
        yield
    except BaseException:
        if rebuilt:
            put_back(catalog, table)
        raise


def published_as(schema_id: int) -> tuple[TableRequirement, TableUpdate]:
    """What a publish asserts and changes besides its ref, for rows that were written for a rebuild to that schema."""
    return _schema_is(schema_id), RemovePropertiesUpdate(removals=[REBUILD])


def _schema_is(schema_id: int) -> TableRequirement:
    return AssertCurrentSchemaId.model_validate({"current-schema-id": schema_id})
