"""`drls table add-column | rename-column | drop-column | …`: columns, partitioning and sort order by hand."""

from __future__ import annotations

from typing import Any

import click

from drls_dagster.cli.table_asking import name_argument
from drls_dagster.cli.table_changing import accept_option, carry_out, how_options
from drls_dagster.errors import UsageError

column_argument = click.argument("column")
first_option = click.option("--first", is_flag=True, help="Put it first.")
after_option = click.option("--after", metavar="COLUMN", help="Put it behind this column.")


@click.command("add-column")
@name_argument
@column_argument
@click.argument("type_", metavar="TYPE")
@click.option("--doc", help="A description of the column.")
@first_option
@after_option
@how_options
def add_column(name: str, column: str, type_: str, doc: str | None, first: bool, after: str | None, **how: Any) -> None:
    """Add an optional column, or a field of a struct: address.zip.

    TYPE is written as in a pipeline file: long, string, decimal(10,2), timestamp, array<string>, struct<a:int>.
    """
    from lifecycle.domain.evolution import AddColumn, make_change

    change = make_change(AddColumn, column=column, type=type_, doc=doc, first=first, after=after)
    carry_out(
        name,
        change,
        how,
        lambda client, options: client.evolution.add_column(
            name, column, type_, doc=doc, first=first, after=after, **options
        ),
    )


@click.command("rename-column")
@name_argument
@column_argument
@click.argument("to", metavar="NEW")
@accept_option
@how_options
def rename_column(name: str, column: str, to: str, accept_untraced: bool, **how: Any) -> None:
    """Rename a column. NEW is the new name alone, also for a nested field."""
    from lifecycle.domain.evolution import RenameColumn, make_change

    carry_out(
        name,
        make_change(RenameColumn, column=column, to=to),
        how,
        lambda client, options: client.evolution.rename_column(name, column, to, **options),
        accept_untraced=accept_untraced,
    )


@click.command("drop-column")
@name_argument
@column_argument
@accept_option
@how_options
def drop_column(name: str, column: str, accept_untraced: bool, **how: Any) -> None:
    """Drop a column that no deployed version uses."""
    from lifecycle.domain.evolution import DropColumn, make_change

    carry_out(
        name,
        make_change(DropColumn, column=column),
        how,
        lambda client, options: client.evolution.drop_column(name, column, **options),
        accept_untraced=accept_untraced,
    )


@click.command("move-column")
@name_argument
@column_argument
@first_option
@after_option
@how_options
def move_column(name: str, column: str, first: bool, after: str | None, **how: Any) -> None:
    """Move a column to the first place or behind another one."""
    from lifecycle.domain.evolution import MoveColumn, make_change

    if first == (after is not None):
        raise UsageError("pass --first or --after COLUMN")
    carry_out(
        name,
        make_change(MoveColumn, column=column, first=first, after=after),
        how,
        lambda client, options: client.evolution.move_column(name, column, first=first, after=after, **options),
    )


@click.command("alter-type")
@name_argument
@column_argument
@click.argument("type_", metavar="TYPE")
@how_options
def alter_type(name: str, column: str, type_: str, **how: Any) -> None:
    """Widen a column: int to long, float to double, a decimal to more digits."""
    from lifecycle.domain.evolution import AlterType, make_change

    carry_out(
        name,
        make_change(AlterType, column=column, type=type_),
        how,
        lambda client, options: client.evolution.alter_type(name, column, type_, **options),
    )


@click.command("set-nullable")
@name_argument
@column_argument
@click.option("--optional/--required", "nullable", default=None, help="Whether it may be null.")
@how_options
def set_nullable(name: str, column: str, nullable: bool | None, **how: Any) -> None:
    """Make a column optional; or required, if the metadata proves that it has no null."""
    from lifecycle.domain.evolution import SetNullable, make_change

    if nullable is None:
        raise UsageError("pass --optional or --required")
    carry_out(
        name,
        make_change(SetNullable, column=column, nullable=nullable),
        how,
        lambda client, options: client.evolution.set_nullable(name, column, nullable, **options),
    )


@click.command("set-doc")
@name_argument
@column_argument
@click.argument("doc", metavar="TEXT")
@how_options
def set_doc(name: str, column: str, doc: str, **how: Any) -> None:
    """Describe a column; an empty TEXT removes the description."""
    from lifecycle.domain.evolution import SetDoc, make_change

    carry_out(
        name,
        make_change(SetDoc, column=column, doc=doc),
        how,
        lambda client, options: client.evolution.set_doc(name, column, doc, **options),
    )


@click.command("partition")
@name_argument
@click.option("--add", "added", multiple=True, metavar="FIELD", help="Add this field; repeat for more.")
@click.option("--drop", "dropped", multiple=True, metavar="FIELD", help="Drop this field; repeat for more.")
@how_options
def partition(name: str, added: tuple[str, ...], dropped: tuple[str, ...], **how: Any) -> None:
    """Add, drop or replace partition fields. Existing files keep their partitions.

    FIELD is a column, year(c), month(c), day(c), hour(c), bucket(16, c) or truncate(4, c). To replace one field,
    pass --drop and --add once each.
    """
    from lifecycle.domain.evolution import AlterPartitions, make_change

    if not (added or dropped):
        raise UsageError("pass --add FIELD, --drop FIELD, or one of each to replace a field")
    if added and dropped and (len(added), len(dropped)) != (1, 1):
        raise UsageError("to replace a field, pass --drop and --add once each; else only one of the two")
    change = make_change(AlterPartitions, drop=dropped, add=added)

    def act(client: Any, options: dict[str, Any]) -> Any:
        if added and dropped:
            return client.evolution.replace_partition(name, dropped[0], added[0], **options)
        if added:
            return client.evolution.add_partition(name, added, **options)
        return client.evolution.drop_partition(name, dropped, **options)

    carry_out(name, change, how, act)


@click.command("sort")
@name_argument
@click.argument("columns", nargs=-1)
@how_options
def sort(name: str, columns: tuple[str, ...], **how: Any) -> None:
    """Set the sort order for new files: "day" "id desc". Without COLUMNS, remove it."""
    from lifecycle.domain.evolution import SetSortOrder, make_change

    carry_out(
        name,
        make_change(SetSortOrder, sort_by=columns),
        how,
        lambda client, options: client.evolution.set_sort_order(name, columns, **options),
    )


COMMANDS = (
    add_column,
    rename_column,
    drop_column,
    move_column,
    alter_type,
    set_nullable,
    set_doc,
    partition,
    sort,
)
