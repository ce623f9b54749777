"""`drls table query | stats | history`: asked of the lifecycle, as whoever is signed in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.options import environment_type
from drls_dagster.cli.output import cell, in_words, json_option, print_json, print_table
from lifecycle.domain.environment import Environment
from lifecycle.domain.tables import QueryEngine

if TYPE_CHECKING:
    from pydantic import BaseModel

name_argument = click.argument("name")
environment_option = click.option(
    "--env",
    "environment",
    type=environment_type,
    help="Treat NAME as the name a pipeline uses in this environment.",
)


@click.command()
@click.argument("sql", metavar="SQL|-")
@click.option(
    "--env", "environment", type=environment_type, help="Treat table names as those pipelines use in this environment."
)
@click.option("--ref", help="Read this branch or tag of every table.")
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "spark"]),
    default="duckdb",
    show_default=True,
    help="The engine that answers.",
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="Most rows to print.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=30, show_default=True, help="Stop it after this.")
@json_option
def query(
    sql: str, environment: Environment | None, ref: str | None, engine: str, limit: int, seconds: float, as_json: bool
) -> None:
    """Answer one SELECT over tables; "-" reads it from standard input. With --engine spark, it is Spark's SQL, and the
    engine must be running.

    \b
    drls table query "SELECT carrier, count(*) FROM flights.daily GROUP BY ALL" --env qa
    """
    from drls_dagster.cli.lifecycle import lifecycle

    text = sys.stdin.read() if sql == "-" else sql
    with lifecycle() as client:
        found = client.tables.query(
            text, environment=environment, ref=ref, rows=limit, seconds=seconds, engine=QueryEngine(engine)
        )
    if as_json:
        _print(found)
        return
    print_table([one.name for one in found.columns], found.rows)
    read = ", ".join(f"{one.name} at {one.snapshot or 'no snapshot'}" for one in found.read)
    click.echo(f"{len(found.rows)} rows{f' of {read}' if read else ''}")
    _warn(found.cut)


@click.command()
@name_argument
@environment_option
@click.option("--column", "columns", multiple=True, help="Only this column; repeat for more.")
@click.option("--snapshot", type=int, help="Read this snapshot.")
@click.option("--ref", help="Read this branch or tag.")
@click.option("--top", type=click.IntRange(0, 50), default=3, show_default=True, help="Most frequent values to show.")
@click.option("--quick", is_flag=True, help="Show what the metadata of files says; read no rows.")
@json_option
def stats(
    name: str,
    environment: Environment | None,
    columns: tuple[str, ...],
    snapshot: int | None,
    ref: str | None,
    top: int,
    quick: bool,
    as_json: bool,
) -> None:
    """Show nulls, smallest, largest, distinct and most frequent values of columns."""
    from drls_dagster.cli.lifecycle import lifecycle

    with lifecycle() as client:
        found = client.tables.statistics(
            name, environment=environment, columns=columns, snapshot=snapshot, ref=ref, top=top, quick=quick
        )
    if as_json:
        _print(found)
        return
    print_table(
        ["column", "type", "nulls", "NaN", "min", "max", "distinct (about)", "most frequent"],
        [
            (
                one.name,
                one.type,
                one.nulls,
                one.nans,
                one.min,
                one.max,
                one.distinct,
                ", ".join(f"{cell(each.value)} ({each.rows:,})" for each in one.top) or None,
            )
            for one in found.columns
        ],
        right=["nulls", "NaN", "distinct (about)"],
    )
    how = ", from metadata alone" if found.read_from.value == "metadata" else ""
    click.echo(f"{found.rows:,} rows of {found.name}, snapshot {found.snapshot or 'none yet'}{how}")
    _warn(found.cut)
    if found.next is not None:
        _warn(f"{len(found.columns)} of {found.columns_total} columns; choose others with --column")


@click.command()
@name_argument
@environment_option
@click.option("--ref", help="Only the snapshots of this branch or tag.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Most snapshots to list.")
@json_option
def history(name: str, environment: Environment | None, ref: str | None, limit: int, as_json: bool) -> None:
    """List a table's snapshots, newest first."""
    from drls_dagster.cli.lifecycle import lifecycle

    with lifecycle() as client:
        found = client.tables.history(name, environment=environment, ref=ref, limit=limit)
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
    elif not found:
        click.echo(f"{name} has no snapshot yet.")
    else:
        print_table(
            ["snapshot", "committed (UTC)", "operation", "rows", "added", "deleted", "files", "size", "refs"],
            [
                (
                    str(one.snapshot),
                    f"{one.at:%Y-%m-%d %H:%M:%S}",
                    one.operation,
                    one.rows,
                    one.added_rows,
                    one.deleted_rows,
                    one.data_files,
                    in_words(one.bytes),
                    " ".join(one.refs),
                )
                for one in found
            ],
            right=["rows", "added", "deleted", "files", "size"],
        )


def _print(found: BaseModel) -> None:
    print_json(found.model_dump(mode="json"))


def _warn(text: str) -> None:
    if text:
        click.echo(text, err=True)
