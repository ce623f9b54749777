"""What a table is, from its metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.diff.types import type_words
from drls_dagster.lakehouse.known_tables import KnownTables
from drls_dagster.lakehouse.locating import OneLook, look_at
from drls_dagster.lakehouse.names import split_name
from drls_dagster.lakehouse.naming import MAIN, is_environments_own
from drls_dagster.lakehouse.reader.finding import Found
from drls_dagster.lakehouse.refs import head
from drls_dagster.lakehouse.storage_words import in_words
from drls_dagster.lakehouse.tables import TableSummary as Summary
from drls_dagster.lakehouse.tables import snapshot_total, summarize, utc_time
from lifecycle.domain.environment import Environment
from lifecycle.domain.tables import ColumnFacts, HeadFacts, RefFacts, SchemaFacts, TableDescription, TableSummary

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.types import IcebergType, NestedField

_REFS = 200
_LONGEST_TYPE = 300
_PROPERTIES = 500  # characters of a value


def summaries(catalog: Catalog, names: list[str], environment: Environment | None = None) -> list[TableSummary]:
    """Those that are there; one that cannot be read has its error. With `environment`, what it reads for each."""
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

    found: list[TableSummary] = []
    for name in names:
        try:
            if environment is not None and _is_pipelines(name):
                found += _read_in(catalog, environment, name)
            else:
                found.append(_of(name, summarize(catalog, split_name(name), missing=True)))
        except (NoSuchTableError, NoSuchNamespaceError):
            continue
    return found


def _read_in(catalog: Catalog, environment: Environment, name: str) -> list[TableSummary]:
    """What `environment` reads for a pipeline's table; nothing where it is not there yet."""
    try:
        look = look_at(KnownTables(catalog), environment, name)
    except Exception as error:  # noqa: BLE001 (whatever its metadata does: the others are listed)
        return [TableSummary(name=name, error=in_words(error))]
    table = look.table
    if table is None:
        return []
    at = table.snapshot_by_id(look.read) if look.read is not None else None
    return [
        TableSummary(
            name=name,
            table=look.location.name,
            ref=MAIN if look.own is None else look.location.ref,
            rows=snapshot_total(at, "total-records") if at else 0,
            snapshot=look.read,
            data_files=snapshot_total(at, "total-data-files") if at else 0,
            bytes=snapshot_total(at, "total-files-size") if at else 0,
            updated_at=utc_time(at.timestamp_ms) if at else None,
            format_version=table.format_version,
            branches=tuple(sorted(ref for ref, one in table.refs().items() if one.snapshot_ref_type == "branch")),
            location=table.location(),
        )
    ]


def describe(catalog: Catalog, found: Found, real: str | None) -> TableDescription:
    """`real` is the name that pipelines use: with it, what each environment reads."""
    table = found.table
    at = head(table, found.ref)
    snapshot = table.snapshot_by_id(at) if at is not None else None
    refs = sorted(table.metadata.refs.items())
    return TableDescription(
        name=found.name,
        uuid=str(table.metadata.table_uuid),
        location=table.location(),
        format_version=table.format_version,
        columns=len(table.schema().fields),
        partition_by=partition_by(table),
        sort_by=sort_by(table),
        properties={name: value[:_PROPERTIES] for name, value in sorted(table.properties.items())},
        refs=tuple(
            RefFacts(name=name, type=str(ref.snapshot_ref_type.value), snapshot=ref.snapshot_id)
            for name, ref in refs[:_REFS]
        ),
        refs_total=len(refs),
        snapshots=len(table.metadata.snapshots),
        rows=snapshot_total(snapshot, "total-records") if snapshot else 0,
        data_files=snapshot_total(snapshot, "total-data-files") if snapshot else 0,
        bytes=snapshot_total(snapshot, "total-files-size") if snapshot else 0,
        updated_at=utc_time(snapshot.timestamp_ms) if snapshot else None,
        heads=tuple(_heads(catalog, real)) if real and _is_pipelines(real) else (),
    )


def schema(found: Found, *, search: str, after: int, limit: int) -> SchemaFacts:
    """The columns whose path has `search` in it."""
    text = search.casefold()
    every = [one for one in _flat(found.table.schema().fields, "") if text in one.name.casefold()]
    page = every[after : after + limit]
    more = after + len(page) < len(every)
    return SchemaFacts(
        name=found.name,
        schema_id=found.table.schema().schema_id,
        columns=tuple(page),
        total=len(every),
        partition_by=partition_by(found.table),
        sort_by=sort_by(found.table),
        next=after + len(page) if more else None,
    )


def partition_by(table: Table) -> tuple[str, ...]:
    return tuple(f"{one.transform}({_column(table, one.source_id)})" for one in table.spec().fields)


def sort_by(table: Table) -> tuple[str, ...]:
    return tuple(f"{_column(table, key.source_id)} {key.direction.name.lower()}" for key in table.sort_order().fields)


def _column(table: Table, field_id: int) -> str:
    return table.schema().find_column_name(field_id) or f"column {field_id}"


def _flat(fields: tuple[NestedField, ...], above: str) -> Iterator[ColumnFacts]:
    for field in fields:
        path = f"{above}{field.name}"
        words = type_words(field.field_type)
        yield ColumnFacts(
            id=field.field_id,
            name=path,
            type=words if len(words) <= _LONGEST_TYPE else words[: _LONGEST_TYPE - 1] + "…",
            nullable=not field.required,
            nested=bool(above),
            doc=field.doc,
        )
        yield from _flat(_inside(field.field_type), f"{path}.")


def _inside(kind: IcebergType) -> tuple[NestedField, ...]:
    from pyiceberg.types import ListType, MapType, StructType

    match kind:
        case StructType():
            return kind.fields
        case ListType():
            return (kind.element_field,)
        case MapType():
            return (kind.key_field, kind.value_field)
        case _:
            return ()


def _is_pipelines(real: str) -> bool:
    """Whether pipelines can name it: they know no part with a dot in it."""
    try:
        return '"' not in real and not is_environments_own(real)
    except DrlsError:
        return False


def _heads(catalog: Catalog, real: str) -> Iterator[HeadFacts]:
    # Several environments look at the same table.
    tables = OneLook().at(KnownTables(catalog))
    for environment in Environment:
        look = look_at(tables, environment, real)
        snapshot = look.table.snapshot_by_id(look.read) if look.table is not None and look.read is not None else None
        yield HeadFacts(
            environment=environment,
            table=look.location.name,
            ref=MAIN if look.own is None else look.location.ref,
            snapshot=look.read,
            rows=snapshot_total(snapshot, "total-records") if snapshot else None,
            updated_at=utc_time(snapshot.timestamp_ms) if snapshot else None,
        )


def _of(name: str, one: Summary) -> TableSummary:
    return TableSummary(
        name=name,
        rows=one.rows,
        snapshot=one.snapshot_id,
        data_files=one.data_files,
        bytes=one.bytes,
        updated_at=one.updated_at,
        format_version=one.format_version,
        branches=one.branches,
        location=one.location,
        error=one.error,
    )
