"""A sink's table made ready for a write: created from the frame's schema, or evolved to hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyiceberg.exceptions import TableAlreadyExistsError, ValidationError
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import IdentityTransform

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.commit_retry import commit_with_retry
from drls_dagster.lakehouse.evolution import SchemaChange, SchemaConflict, compare
from drls_dagster.lakehouse.layout import parsed_field, partition_text, stage, wanted_changes
from drls_dagster.lakehouse.locating import TableLook
from drls_dagster.lakehouse.namespaces import ensure_namespace
from drls_dagster.lakehouse.naming import TableLocation
from drls_dagster.lakehouse.rebuild import put_back, replace_columns
from drls_dagster.lakehouse.refs import RELEASED
from drls_dagster.lakehouse.refused_layout import refuse_layout
from drls_dagster.lakehouse.reread import Reread, load_again
from drls_dagster.lakehouse.separate import go_separate, why_separate

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

    from lifecycle.spec import PartitionField as SpecPartition
    from lifecycle.spec import SinkNode

OWNER = "drls.pipeline"


class ForeignTable(DrlsError):
    """The table belongs to another pipeline (D11)."""


@dataclass(frozen=True)
class Prepared:
    """The table as it is now, and whether it must be written anew as a whole."""

    table: Table
    rebuilt: bool = False


def refuse_foreign(table: Table, pipeline: str) -> None:
    """One table, one writing pipeline (D11). Raises ForeignTable naming the owner."""
    owner = table.properties.get(OWNER)
    if owner is not None and owner != pipeline:
        raise ForeignTable(
            f"table {'.'.join(table.name())} is written by pipeline '{owner}'; give the sink of '{pipeline}' "
            f"its own table, or retire '{owner}' first"
        )


def take_over(catalog: Catalog, table: Table, pipeline: str) -> Table:
    """The table with `pipeline` as its owner, once the one before has given it up (D11)."""

    def attempt() -> Table:
        fresh = load_again(catalog, table, Reread.OWNER)
        with fresh.transaction() as change:
            change.set_properties({OWNER: pipeline})
        return fresh

    return commit_with_retry(attempt, what=f"owner of {'.'.join(table.name())}")


def prepare_table(
    catalog: Catalog, look: TableLook, sink: SinkNode, frame: Schema, pipeline: str, *, free: bool
) -> Prepared:
    """The sink's table, able to hold `frame`. `look` was taken just now: it is compared with and changed from there.

    `free` is what `separate.may_reshape` says of the environment and location. Without it new optional columns are
    added to the real table; where these are not enough, the environment gets a table of its own, and GoesSeparate
    asks the sink to begin again there. Raises SchemaConflict or ForeignTable.
    """
    location, table = look.location, look.table
    refuse_layout(sink, frame, table.schema() if table is not None else None)
    if table is None:
        return Prepared(_create(catalog, location, sink, frame, pipeline))
    refuse_foreign(table, pipeline)
    if free:
        table = put_back(catalog, table)
    rebuilt = _refuse_or_rebuild(compare(table.schema(), frame), sink, location)
    looks = iter((table,))

    def attempt() -> Table:
        fresh = next(looks, None) or load_again(catalog, table, Reread.CONFLICT)
        why = "" if free else why_separate(fresh, sink, frame)
        if why:
            raise go_separate(catalog, fresh, location, why)
        _evolve(fresh, frame, compare(fresh.schema(), frame), rebuilt=rebuilt)
        if free:
            _lay_out(fresh, sink)
        return fresh

    return Prepared(commit_with_retry(attempt, what=f"schema of {location.name}"), rebuilt)


def _refuse_or_rebuild(change: SchemaChange, sink: SinkNode, location: TableLocation) -> bool:
    if change.is_empty:
        return False
    where = f"sink '{sink.id}' does not fit table {location.name}"
    if sink.on_schema_change == "fail":
        what = change.clashing or tuple(
            f"column '{name}' {how}"
            for names, how in (
                (change.added, "is new"),
                (change.widened, "is wider"),
                (change.nested, "differs inside"),
            )
            for name in names
        )
        raise SchemaConflict(f"{where}: {'; '.join(what)}; on_schema_change is fail: change the step, or set it to add")
    if change.clashing and sink.on_schema_change != "rebuild":
        remedy = "cast the column, or set on_schema_change: rebuild"
        raise SchemaConflict(f"{where}: {'; '.join(change.clashing)}; {remedy}")
    return bool(change.clashing)


def _create(catalog: Catalog, location: TableLocation, sink: SinkNode, frame: Schema, pipeline: str) -> Table:
    ensure_namespace(catalog, location.identifier[:-1])
    try:
        return catalog.create_table(
            location.identifier,
            frame,
            partition_spec=partition_spec(sink, frame),
            sort_order=sort_order(sink, frame),
            properties={"format-version": "2", **sink.properties, OWNER: pipeline, RELEASED: "false"},
        )
    except TableAlreadyExistsError:
        table = catalog.load_table(location.identifier)
        refuse_foreign(table, pipeline)
        return table


def _evolve(table: Table, frame: Schema, change: SchemaChange, *, rebuilt: bool) -> None:
    if change.is_empty:
        return
    by_name = {column.name.lower(): column for column in frame.fields}
    clashing = _clashing(table.schema(), frame) if rebuilt else []
    try:
        if clashing:
            replace_columns(table, clashing, frame)
        with table.update_schema(case_sensitive=False) as update:
            for name in change.added:
                update.add_column((name,), by_name[name.lower()].field_type)  # as text, a dot is a path
            for name in change.widened:
                update.update_column((name,), by_name[name.lower()].field_type)
            if change.nested:
                update.union_by_name(Schema(*(by_name[name.lower()] for name in change.nested)))
    except (ValueError, ValidationError) as error:
        where = f"table {'.'.join(table.name())} cannot follow the result"
        raise SchemaConflict(f"{where}: {error}; cast the column, or give the sink a table with another name") from None


def _clashing(table: Schema, frame: Schema) -> list[str]:
    return [column.name for column in table.fields if compare(Schema(column), frame).clashing]


def _lay_out(table: Table, sink: SinkNode) -> None:
    """Partition spec, sort order and properties as the sink says; a change commits, no change does not."""
    changes = wanted_changes(table.metadata, sink)
    if changes:
        with table.transaction() as transaction:
            stage(transaction, changes)


def partition_spec(sink: SinkNode, schema: Schema) -> PartitionSpec:
    """The Iceberg partition spec of a sink. Raises DrlsError naming a column the result lacks."""
    if not sink.partition_by:
        return UNPARTITIONED_PARTITION_SPEC
    fields = [
        PartitionField(
            source_id=_column(sink, schema, part.column),
            field_id=1000 + number,
            transform=parsed_field(partition_text(part))[1],
            name=part.column.replace(".", "_") if part.transform == "identity" else _partition_name(part),
        )
        for number, part in enumerate(sink.partition_by)
    ]
    return PartitionSpec(*fields)


def sort_order(sink: SinkNode, schema: Schema) -> SortOrder:
    """The Iceberg sort order of a sink. Raises DrlsError naming a column the result lacks."""
    if not sink.sort_by:
        return UNSORTED_SORT_ORDER
    fields = [
        SortField(
            source_id=_column(sink, schema, part.column),
            transform=IdentityTransform(),
            direction=SortDirection.ASC if part.order == "asc" else SortDirection.DESC,
            null_order=NullOrder.NULLS_FIRST if part.order == "asc" else NullOrder.NULLS_LAST,
        )
        for part in sink.sort_by
    ]
    return SortOrder(*fields)


def _column(sink: SinkNode, schema: Schema, name: str) -> int:
    try:
        return schema.find_field(name, case_sensitive=False).field_id
    except ValueError:
        raise DrlsError(
            f"sink '{sink.id}' names column '{name}', which its input lacks; it has {', '.join(schema.column_names)}"
        ) from None


def _partition_name(part: SpecPartition) -> str:
    return "_".join(filter(None, (part.column.replace(".", "_"), part.transform, str(part.argument or ""))))
