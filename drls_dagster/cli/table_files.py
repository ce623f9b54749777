"""`drls table files`: asked of the lifecycle, as whoever is signed in."""

from __future__ import annotations

import click

from drls_dagster.cli.output import in_words, json_option, print_json, print_table
from drls_dagster.cli.table_asking import environment_option, name_argument
from lifecycle.domain.environment import Environment
from lifecycle.domain.table_files import FileOrder, PartitionFiles, SizeBucket


@click.command()
@name_argument
@environment_option
@click.option("--ref", help="Read this branch or tag.")
@click.option("--snapshot", type=int, help="Read this snapshot.")
@click.option(
    "--order",
    type=click.Choice([one.value for one in FileOrder]),
    default=FileOrder.LARGEST.value,
    show_default=True,
    help="Which files to list first.",
)
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="Most files to list.")
@json_option
def files(
    name: str,
    environment: Environment | None,
    ref: str | None,
    snapshot: int | None,
    order: str,
    limit: int,
    as_json: bool,
) -> None:
    """Show how large a table's files are, how they are spread over partitions, and each file."""
    from drls_dagster.cli.lifecycle import lifecycle

    with lifecycle() as client:
        found = client.tables.files(
            name, environment=environment, ref=ref, snapshot=snapshot, order=FileOrder(order), most=limit
        )
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    if found.sizes:
        print_table(
            ["file size", "files", "bytes"],
            [(_sizes(one), f"{one.data_file_count:,}", in_words(one.bytes)) for one in found.sizes],
            right=["files", "bytes"],
        )
    if found.partitions_total > 1:
        print_table(
            ["partition", "files", "delete files", "rows", "bytes"],
            [
                (
                    _partition(one),
                    f"{one.data_file_count:,}",
                    one.delete_file_count,
                    f"{one.rows:,}",
                    in_words(one.bytes),
                )
                for one in found.partitions[:limit]
            ],
            right=["files", "delete files", "rows", "bytes"],
        )
    print_table(
        ["file", "content", "rows", "bytes"],
        [(one.path, one.content, f"{one.rows:,}", in_words(one.bytes)) for one in found.files],
        right=["rows", "bytes"],
    )
    click.echo(
        f"{found.data_file_count:,} data files and {found.delete_file_count:,} delete files of {found.name}, "
        f"{in_words(found.bytes)}, snapshot {found.snapshot or 'none yet'}"
    )


def _sizes(one: SizeBucket) -> str:
    return (
        f"{in_words(one.at_least)} and more"
        if one.below is None
        else f"{in_words(one.at_least)} to {in_words(one.below)}"
    )


def _partition(one: PartitionFiles) -> str:
    return ", ".join(f"{name}={value}" for name, value in one.partition.items()) or "(all)"
