"""`drls table changes`: which rows were inserted, deleted and updated."""

from __future__ import annotations

from pathlib import Path

import click

from drls_dagster.cli.output import json_option, print_json, print_table
from drls_dagster.cli.table_asking import environment_option, name_argument
from drls_dagster.errors import UsageError
from lifecycle.domain.environment import Environment


@click.command()
@name_argument
@environment_option
@click.option("--from", "since", type=click.IntRange(min=0), help="Read behind this snapshot; default: from the first.")
@click.option("--to", "until", type=click.IntRange(min=0), help="Read up to this snapshot; default: the newest.")
@click.option("--ref", help="Read up to the newest snapshot of this branch or tag.")
@click.option("--key", "keys", multiple=True, help="Column that identifies a row, to show updates; repeat for more.")
@click.option("--column", "columns", multiple=True, help="Only this column; repeat for more.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Most changes to print.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write all changes to this Parquet file instead."
)
@json_option
def changes(
    name: str,
    environment: Environment | None,
    since: int | None,
    until: int | None,
    ref: str | None,
    keys: tuple[str, ...],
    columns: tuple[str, ...],
    limit: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Show which rows were inserted, deleted and, with --key, updated.

    Rows that were only rewritten, as by a compaction, are no change.
    """
    if until is not None and ref is not None:
        raise UsageError("pass --to or --ref, not both")
    if out is not None:
        _write(out, name, environment, since, until, ref, keys, columns)
        return
    from drls_dagster.cli.lifecycle import lifecycle

    with lifecycle() as client:
        found = client.tables.changes(
            name,
            environment=environment,
            since=since,
            until=until,
            ref=ref,
            keys=keys,
            columns=columns,
            rows=limit,
        )
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_table([one.name for one in found.columns], found.rows)
    at = f"snapshot {found.until}" if found.until else "no snapshot yet"
    click.echo(f"{len(found.rows)} changes of {found.name} up to {at}")
    if found.cut:
        click.echo(f"Only {found.cut}. Raise --limit, or write all with --out FILE.parquet.", err=True)


def _write(
    out: Path,
    name: str,
    environment: Environment | None,
    since: int | None,
    until: int | None,
    ref: str | None,
    keys: tuple[str, ...],
    columns: tuple[str, ...],
) -> None:
    from drls_dagster.python_api.tables import Table

    found = Table(name, environment, ref=ref).changes(since, until, keys=keys, columns=columns)
    written = found.write_parquet(out)
    click.echo(f"Wrote {written:,} changes of {name} to {out}.")
