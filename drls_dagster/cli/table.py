"""`drls table`: look at Iceberg tables, and change them by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from drls_dagster.cli import table_columns, table_refs
from drls_dagster.cli.output import cell, in_words, json_option, make_console, print_json, print_table
from drls_dagster.cli.table_asking import environment_option, history, name_argument, query, stats
from drls_dagster.cli.table_changes import changes
from drls_dagster.cli.table_files import files
from drls_dagster.cli.table_health import health
from drls_dagster.errors import UsageError
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

_LAST_SNAPSHOTS = 10

_WHOLE_TEXT = 100_000  # characters of a value


@click.group()
def table() -> None:
    """List, show, preview, query and change Iceberg tables.

    NAME is the exact identifier, namespace.table; with --env, it is the name a pipeline uses.
    """


@table.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List all tables with their row counts, files and size."""
    if _is_remote():
        from drls_dagster.cli import table_remote

        tables = list[Any](table_remote.summaries())
        found = [table_remote.as_json(one) for one in tables]
    else:
        from drls_dagster.lakehouse.tables import list_tables

        with _catalog() as catalog:
            tables = list_tables(catalog)
        found = [asdict(one) for one in tables]
    if as_json:
        print_json(found)
    elif not tables:
        click.echo("No tables yet.")
    else:
        print_table(
            ["name", "rows", "files", "size", "updated (UTC)", "branches"],
            [
                (
                    each.name,
                    each.error or (f"{each.rows:,}" if each.rows is not None else None),
                    each.data_files,
                    in_words(each.bytes),
                    f"{each.updated_at:%Y-%m-%d %H:%M:%S}" if each.updated_at else None,
                    " ".join(each.branches),
                )
                for each in tables
            ],
            right=["rows", "files", "size"],
        )


@table.command()
@name_argument
@environment_option
@json_option
def show(name: str, environment: Environment | None, as_json: bool) -> None:
    """Show a table's schema, layout, properties, refs and latest snapshots."""
    if _is_remote():
        from drls_dagster.cli import table_remote

        description = table_remote.description(name, environment, _LAST_SNAPSHOTS)
    else:
        from drls_dagster.lakehouse.tables import find_table

        with _catalog() as catalog:
            found = find_table(catalog, name, environment)
            description = _describe(found.name, found.table)
    if as_json:
        print_json(description)
        return
    console = make_console()
    for key in ("name", "location", "format_version", "uuid", "partition_by", "sort_by"):
        console.print(f"{key.replace('_', ' '):<15} {cell(description[key])}")
    sections = {"columns": "schema", "properties": "properties", "refs": "refs", "snapshots": "snapshots"}
    for title, key in sections.items():
        rows = description[key]
        if isinstance(rows, dict):
            rows = [{"name": entry, "value": value} for entry, value in rows.items()]
        if rows:
            console.print(f"\n{title}", style="bold")
            print_table(list(rows[0]), [list(row.values()) for row in rows])


@table.command()
@name_argument
@environment_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Maximum number of rows.")
@click.option("--snapshot", type=int, help="Read this snapshot.")
@click.option("--ref", help="Read this branch or tag.")
@json_option
def preview(
    name: str, environment: Environment | None, limit: int, snapshot: int | None, ref: str | None, as_json: bool
) -> None:
    """Print a table's first rows."""
    if snapshot is not None and ref is not None:
        raise UsageError("pass --snapshot or --ref, not both")
    if _is_remote():
        from drls_dagster.cli import table_remote

        read = table_remote.preview(name, environment, limit, snapshot, ref, _WHOLE_TEXT)
        columns = [one.name for one in read.columns]
        full_name, snapshot_id, rows = read.name, read.snapshot, [list(row) for row in read.rows]
    else:
        from drls_dagster.lakehouse import tables
        from drls_dagster.lakehouse.rows import rows_of

        with _catalog() as catalog:
            found = tables.find_table(catalog, name, environment)
            snapshot_id, data = tables.preview(found, limit=limit, snapshot_id=snapshot, ref=ref)
            columns, full_name = data.column_names, found.name
            rows = [list(row.values()) for row in rows_of(data)]
    if as_json:
        shown = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json({"name": full_name, "snapshot_id": snapshot_id, "columns": columns, "rows": shown})
        return
    print_table(columns, rows)
    at = f"snapshot {snapshot_id}" if snapshot_id else "no snapshot yet"
    click.echo(f"{len(rows)} rows of {full_name}, {at}")


@table.command("reset-position")
@click.argument("sink")
@click.argument("source")
@click.option(
    "--to", required=True, metavar="start|head|SNAPSHOT|OFFSETS|VALUE", help="Position to treat as already read."
)
@environment_option
def reset_position(sink: str, source: str, to: str, environment: Environment | None) -> None:
    """Set where an incremental SINK continues reading SOURCE.

    "start" reads everything again; "head" reads only what is appended from now on. A topic of Kafka and rows of a
    database are named as the failed run names them. They take "start", which reads what there is, or offsets such as
    0=120,1=87, or the value of the column up to which rows count as read, such as 1000 or "2024-01-31 12:00:00".
    """
    from drls_dagster.lakehouse import position_reset, tables

    with _catalog() as catalog:
        reader = tables.find_table(catalog, sink, environment)
        if "/" in source:
            position_reset.reset_elsewhere(catalog, reader, source, to)
            click.echo(f"{reader.name} continues reading {source} from {'its start' if to == 'start' else to}.")
            return
        read = tables.find_table(catalog, source, environment)
        position = position_reset.reset_position(catalog, reader, read, to)
    where = "its start" if position is None else f"snapshot {position}"
    click.echo(f"{reader.name} continues reading {read.name} from {where}.")


for command in (query, stats, history, changes, files, health, *table_columns.COMMANDS, *table_refs.COMMANDS):
    table.add_command(command)


def _is_remote() -> bool:
    """Whether tables are those of the server at DRLS_URL; else they are read from the catalog here."""
    from drls_dagster.settings import load_settings

    return bool(load_settings().url)


@contextmanager
def _catalog() -> Iterator[Catalog]:
    from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog
    from drls_dagster.lakehouse.catalog_config import resolve_catalog
    from drls_dagster.settings import load_settings

    settings = load_settings()
    with catalog_errors(resolve_catalog(settings)):
        yield load_catalog(settings)


def _describe(name: str, table: Table) -> dict[str, Any]:
    from drls_dagster.lakehouse.tables import snapshot_total, utc_time

    schema = table.schema()
    newest_first = sorted(table.snapshots(), key=lambda each: each.timestamp_ms, reverse=True)
    return {
        "name": name,
        "location": table.location(),
        "format_version": table.format_version,
        "uuid": table.metadata.table_uuid,
        "schema": [
            {
                "id": field.field_id,
                "name": field.name,
                "type": str(field.field_type),
                "required": field.required,
                "doc": field.doc,
            }
            for field in schema.fields
        ],
        "partition_by": [
            f"{part.transform}({schema.find_column_name(part.source_id)})" for part in table.spec().fields
        ],
        "sort_by": [
            f"{schema.find_column_name(key.source_id)} {key.direction.name.lower()}"
            for key in table.sort_order().fields
        ],
        "properties": dict(sorted(table.properties.items())),
        "refs": [
            {"name": ref_name, "type": str(ref.snapshot_ref_type), "snapshot_id": ref.snapshot_id}
            for ref_name, ref in sorted(table.refs().items())
        ],
        "snapshots": [
            {
                "snapshot_id": each.snapshot_id,
                "parent_id": each.parent_snapshot_id,
                "committed_at": utc_time(each.timestamp_ms),
                "operation": each.summary.operation.value if each.summary else None,
                "rows": snapshot_total(each, "total-records"),
                "added_rows": snapshot_total(each, "added-records"),
            }
            for each in newest_first[:_LAST_SNAPSHOTS]
        ],
    }
